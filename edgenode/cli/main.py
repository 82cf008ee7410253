"""The `edgenode` command."""

from __future__ import annotations

from pathlib import Path

import click

from edgenode.cli.chain_commands import chain
from edgenode.cli.completion import completion
from edgenode.cli.config_commands import config
from edgenode.cli.failure import MEANINGS, FailingGroup
from edgenode.cli.genesis_commands import genesis
from edgenode.cli.key_commands import key
from edgenode.cli.model_commands import model
from edgenode.cli.node_commands import peers, status
from edgenode.cli.session import Session
from edgenode.services.config import CONFIG_VARIABLE, DEFAULT_CONFIG

SOCKET_VARIABLE = "EDGENODE_SOCKET"

_CODES = "\n".join(f"  {code.value}  {meaning}" for code, meaning in MEANINGS.items())


@click.group(
    cls=FailingGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"\b\nExit status:\n{_CODES}",
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    envvar=CONFIG_VARIABLE,
    default=DEFAULT_CONFIG,
    show_default=True,
    show_envvar=True,
    help="The node's configuration.",
)
@click.option(
    "--socket",
    type=click.Path(path_type=Path),
    envvar=SOCKET_VARIABLE,
    show_envvar=True,
    help="The node's socket, in place of the configuration's.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.version_option(package_name="edgenode", prog_name="edgenode")
@click.pass_context
def cli(ctx: click.Context, config_file: Path, socket: Path | None, as_json: bool) -> None:
    """Look at an edgenode node, and set one up."""
    ctx.obj = Session(config=config_file, socket=socket, json=as_json)


for _command in (status, chain, model, peers, key, genesis, config, completion):
    cli.add_command(_command)


def main() -> None:
    """The entry point."""
    cli(prog_name="edgenode")


if __name__ == "__main__":
    main()
