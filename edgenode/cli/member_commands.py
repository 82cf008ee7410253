"""`edgenode member`: who belongs to the ward, and how its authorities change that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from edgenode.api.json_record import to_json
from edgenode.cli.failure import Exit, Failure
from edgenode.cli.output import print_json, print_table
from edgenode.cli.parameter_types import FILE, named_key, public_key
from edgenode.cli.session import Session, pass_session
from edgenode.ledger.enrolment import Enrolment, Revocation
from edgenode.ledger.genesis import Genesis, is_name
from edgenode.ledger.keys import MemberKey
from edgenode.storage.change_file import Change, read_change, wording, write_change
from edgenode.storage.genesis import read_genesis
from edgenode.storage.keyfile import read_key

Command = TypeVar("Command", bound=Callable[..., Any])

_KEYS = click.option(
    "--key",
    "keys",
    type=FILE,
    multiple=True,
    required=True,
    help="An authority's key file. Repeat for several.",
)
_GENESIS = click.option(
    "--genesis", type=FILE, help="The ward's genesis file (default: the configuration's)."
)


def _proposal(command: Command) -> Command:
    """The options of commands that begin a change."""
    for option in (
        click.option(
            "--out",
            type=FILE,
            help="Write the change to this file for other authorities, and hand nothing in.",
        ),
        click.option(
            "--sequence",
            type=click.IntRange(0, 2**64 - 1),
            help="Number of the ward's changes so far, also those that wait (default: asked "
            "of the node).",
        ),
        _GENESIS,
        _KEYS,
    ):
        command = option(command)
    return command


@click.group()
def member() -> None:
    """Look at the ward's members; enrol and revoke them.

    A change needs the signatures of as many of the ward's authorities as genesis says. An
    authority's key is made as a member's: edgenode key create --file authority.key
    """


@member.command("list")
@pass_session
def list_members(session: Session) -> None:
    """List the members, and the authorities who may change them."""
    found = session.client().members()
    if session.json:
        print_json(to_json(found))
        return
    print_table(
        ("member", "key", "since", "until"),
        [
            (m.name, m.key, m.since or "genesis", "" if m.until is None else m.until)
            for m in found.members
        ],
    )
    if found.waiting:
        click.echo("\nWait for a block:")
        print_table(
            ("change", "what", "key"),
            [(w.sequence, f"enrol {w.name}" if w.name else "revoke", w.key) for w in found.waiting],
        )
    if found.authorities:
        click.echo(f"\n{found.quorum} of these authorities together change it:")
        print_table(("authority", "key"), [(a.name, a.key) for a in found.authorities])


@member.command()
@click.argument("named", metavar="NAME=KEY")
@_proposal
@pass_session
def enrol(
    session: Session,
    *,
    named: str,
    keys: tuple[Path, ...],
    genesis: Path | None,
    sequence: int | None,
    out: Path | None,
) -> None:
    """Make a key a member under a name."""
    name, key = named_key(named, "NAME=KEY")
    if not is_name(name):
        raise click.BadParameter(f"{name!r} is not 1 to 64 printable ASCII characters")
    change = Enrolment(public_key(key), name, _next(session, sequence), ())
    _sign_and_pass_on(session, change, keys, genesis, out)


@member.command()
@click.argument("who", metavar="NAME|KEY")
@_proposal
@pass_session
def revoke(
    session: Session,
    *,
    who: str,
    keys: tuple[Path, ...],
    genesis: Path | None,
    sequence: int | None,
    out: Path | None,
) -> None:
    """End a membership. The ward needs no box that is revoked to become final again."""
    if len(who) == 64:
        revoked = public_key(who)
    else:
        members = {m.name: m.key for m in session.client().members().members if m.until is None}
        if who not in members:
            raise Failure(f"no member is called {who}; see: edgenode member list", Exit.REFUSED)
        revoked = bytes.fromhex(members[who])
    change = Revocation(revoked, _next(session, sequence), ())
    _sign_and_pass_on(session, change, keys, genesis, out)


@member.command()
@click.argument("file", type=FILE)
@_KEYS
@_GENESIS
@click.option("--out", type=FILE, help="Write the signed change to this file.")
@pass_session
def sign(
    session: Session,
    *,
    file: Path,
    keys: tuple[Path, ...],
    genesis: Path | None,
    out: Path | None,
) -> None:
    """Add authorities' signatures to a change; hand it in once they are enough.

    Read first what the change does: it is printed, and stands in the file.
    """
    _sign_and_pass_on(session, read_change(file), keys, genesis, out)


@member.command()
@click.argument("file", type=FILE)
@pass_session
def submit(session: Session, file: Path) -> None:
    """Hand a signed change in to the node."""
    _hand_in(session, read_change(file))


def _next(session: Session, sequence: int | None) -> int:
    return session.client().members().next_sequence if sequence is None else sequence


def _sign_and_pass_on(
    session: Session,
    change: Change,
    keys: Sequence[Path],
    genesis: Path | None,
    out: Path | None,
) -> None:
    ward = read_genesis(genesis or session.settings().gossip.genesis)
    signed = _signed(ward, change, keys)
    if out is None and len(signed.signatures) >= ward.authority_quorum:
        _hand_in(session, signed)
        return
    if out is None:
        raise Failure(
            f"{len(signed.signatures)} of {ward.authority_quorum} authorities have signed: write "
            "the change to a file with --out, and let others sign that (edgenode member sign)",
            Exit.USAGE,
        )
    write_change(out, signed)
    if session.json:
        print_json({"file": str(out), "signatures": len(signed.signatures)})
    else:
        click.echo(
            f"{out}: {wording(signed)}; {len(signed.signatures)} of {ward.authority_quorum} "
            "authorities have signed"
        )


def _signed(ward: Genesis, change: Change, keys: Sequence[Path]) -> Change:
    positions = {bytes.fromhex(a.key): i for i, a in enumerate(ward.authorities)}
    signatures = dict(change.signatures)
    for path in keys:
        key = MemberKey(read_key(path))
        if key.public not in positions:
            raise Failure(
                f"{path}: {key.public.hex()} is no authority of ward {ward.name}", Exit.BAD_FILE
            )
        signatures[positions[key.public]] = change.signature_by(key, ward.id)
    return replace(change, signatures=tuple(sorted(signatures.items())))


def _hand_in(session: Session, change: Change) -> None:
    session.client().submit_transaction(change.encode())
    if session.json:
        print_json({"id": change.id.hex()})
    else:
        click.echo(f"{wording(change)}: handed in; it counts once it is in a block")
