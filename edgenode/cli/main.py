"""The `edgenode` command."""

from __future__ import annotations

import click

from edgenode.cli.chain_commands import chain
from edgenode.cli.clock_commands import clock
from edgenode.cli.completion import completion
from edgenode.cli.config_commands import config
from edgenode.cli.doctor_commands import doctor
from edgenode.cli.failure import MEANINGS, FailingGroup
from edgenode.cli.genesis_commands import genesis
from edgenode.cli.key_commands import key
from edgenode.cli.member_commands import member
from edgenode.cli.model_commands import model
from edgenode.cli.node_commands import capture, peers, status
from edgenode.cli.session import Session, global_options

_CODES = "\n".join(f"  {code.value:>3}  {meaning}" for code, meaning in MEANINGS.items())


@click.group(
    cls=FailingGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"\b\nExit status:\n{_CODES}",
)
@global_options
@click.version_option(package_name="edgenode", prog_name="edgenode")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Look at an edgenode node, and set one up."""
    ctx.ensure_object(Session)


for _command in (
    status,
    doctor,
    chain,
    member,
    model,
    peers,
    capture,
    clock,
    key,
    genesis,
    config,
    completion,
):
    cli.add_command(_command)
