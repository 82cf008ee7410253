"""`edgenode completion`: shell completion."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_INSTALL = """\b
  bash  edgenode completion bash > /etc/bash_completion.d/edgenode
  zsh   edgenode completion zsh > "${fpath[1]}/_edgenode"
  fish  edgenode completion fish > ~/.config/fish/completions/edgenode.fish
"""


@click.command(epilog=f"To install it:\n\n{_INSTALL}")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script that completes edgenode's commands in a shell."""
    script = get_completion_class(shell)
    assert script is not None, "click knows the shells above"
    command = ctx.find_root().command
    click.echo(script(command, {}, "edgenode", "_EDGENODE_COMPLETE").source())
