"""`edgenode completion`: shell completion."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from edgenode.cli.output import print_json
from edgenode.cli.session import Session, pass_session

_INSTALL = """\b
  bash  edgenode completion bash > /etc/bash_completion.d/edgenode
  zsh   edgenode completion zsh > "${fpath[1]}/_edgenode"
  fish  edgenode completion fish > ~/.config/fish/completions/edgenode.fish
"""


@click.command(epilog=f"To install it:\n\n{_INSTALL}")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@pass_session
def completion(session: Session, shell: str) -> None:
    """Print a script that completes edgenode's commands in a shell."""
    complete = get_completion_class(shell)
    assert complete is not None, "click knows the shells above"
    root = click.get_current_context().find_root().command
    script = complete(root, {}, "edgenode", "_EDGENODE_COMPLETE").source()
    if session.json:
        print_json({"shell": shell, "script": script})
    else:
        click.echo(script)
