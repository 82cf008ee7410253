"""`edgenode key`: the member's and the ward's key files."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from edgenode.cli.output import print_json
from edgenode.cli.parameter_types import FILE
from edgenode.cli.session import Session, pass_session
from edgenode.ledger.keys import MemberKey
from edgenode.storage.keyfile import KEY_BYTES, read_key, write_key

_FILE = click.option(
    "--file",
    "path",
    type=FILE,
    help="The key file (default: the one that the configuration names).",
)


@click.group()
def key() -> None:
    """Create and show keys.

    The member key signs the node's updates and blocks; genesis or the authorities list its public
    part. The ward key admits to the ward's network; every node of the ward has the same one.
    """


@key.command()
@click.argument("kind", type=click.Choice(["member", "ward"]), default="member")
@_FILE
@pass_session
def create(session: Session, kind: str, path: Path | None) -> None:
    """Create a member key (default) or a ward key, in a file for its owner only.

    A file that is there is never written over.
    """
    if kind == "ward":
        path = path or session.settings().gossip.ward_key
        write_key(path, secrets.token_bytes(KEY_BYTES), "edgenode ward key: keep it in the ward")
        if session.json:
            print_json({"file": str(path)})
        else:
            click.echo(f"{path}: copy this file to every node of the ward, and to nobody else")
        return
    path = path or session.settings().gossip.member_key
    member = MemberKey.generate()
    write_key(path, member.seed, "edgenode member key: it never leaves this node")
    _print_public(session, path, member)


@key.command()
@_FILE
@pass_session
def show(session: Session, path: Path | None) -> None:
    """Show the public part of the member key, which genesis or the authorities list."""
    path = path or session.settings().gossip.member_key
    _print_public(session, path, MemberKey(read_key(path)))


def _print_public(session: Session, path: Path, member: MemberKey) -> None:
    if session.json:
        print_json({"file": str(path), "public": member.public.hex()})
    else:
        click.echo(member.public.hex())
