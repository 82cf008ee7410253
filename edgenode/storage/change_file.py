"""A file that carries an enrolment or revocation from authority to authority until it is signed."""

from __future__ import annotations

from pathlib import Path

from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.enrolment import Enrolment, Revocation
from edgenode.ledger.genesis import is_name
from edgenode.ledger.transaction import TRANSACTION_BYTES_LIMIT, decode_transaction
from edgenode.storage.new_file import write_new

_FILE_BYTES_LIMIT = 3 * TRANSACTION_BYTES_LIMIT

Change = Enrolment | Revocation


class ChangeFileError(Exception):
    """A change file cannot be used or written; the text says which, why, and what to do."""


def wording(change: Change) -> str:
    """What a change does, in words."""
    if isinstance(change, Enrolment):
        return f"enrol {change.name} with key {change.member.hex()}, change {change.sequence}"
    return f"revoke key {change.member.hex()}, change {change.sequence}"


def write_change(path: Path, change: Change) -> None:
    """Create a change file, never over another one.

    Raises:
        ChangeFileError: There is a file already, or it cannot be written.
    """
    try:
        write_new(path, f"# edgenode: {wording(change)}\n{change.encode().hex()}\n", 0o666)
    except FileExistsError:
        raise ChangeFileError(f"{path}: there is a file already; name another one") from None
    except OSError as error:
        raise ChangeFileError(f"{path}: cannot be written: {error.strerror}") from None


def read_change(path: Path) -> Change:
    """Read a change file; its signatures are not checked.

    Raises:
        ChangeFileError: It cannot be read, or holds no enrolment or revocation.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_FILE_BYTES_LIMIT + 1)
    except OSError as error:
        raise ChangeFileError(f"{path}: cannot be read: {error.strerror}") from None
    lines = [line.strip() for line in raw.decode("ascii", errors="replace").splitlines()]
    text = [line for line in lines if line and not line.startswith("#")]
    try:
        if len(raw) > _FILE_BYTES_LIMIT or len(text) != 1:
            raise MalformedError("it must hold one line of hexadecimal digits, and else comments")
        change = decode_transaction(bytes.fromhex(text[0]))
    except ValueError as error:  # MalformedError, or digits that are none
        raise ChangeFileError(f"{path}: is no change of members: {error}") from None
    if not isinstance(change, Enrolment | Revocation):
        raise ChangeFileError(f"{path}: is no change of members, but another transaction")
    # It is shown before anybody signs: a name must not move the cursor, nor be lines of its own.
    if isinstance(change, Enrolment) and not is_name(change.name):
        raise ChangeFileError(f"{path}: enrols {change.name!r}, no name of printable ASCII")
    return change
