"""What can be read of a damaged chain database: everything in it can be checked again."""

import logging
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from edgenode.ledger.block import Block
from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.transaction import Transaction, decode_transaction
from edgenode.storage.chain import StoreError

log = logging.getLogger(__name__)

KEPT = 3
"""Damaged files that are kept for whoever wants to look at them; a card is small."""

_COMPANIONS = ("", "-wal", "-shm")
_SMALLEST_ROW_BYTES = 128
"""A row of any table that is read here holds at least a transfer of 153 bytes."""


def replace_damaged(path: Path, salvaged: Path) -> Path:
    """Put a damaged database aside and the salvaged one in its place.

    Should the power fail in between, `finish` completes the exchange.

    Returns:
        Where the damaged file is now: the old name with ".damaged-" and a number.

    Raises:
        StoreError: the files cannot be renamed.
    """
    older = sorted(path.parent.glob(f"{path.name}.damaged-*[0-9]"), key=_number)
    aside = path.with_name(f"{path.name}.damaged-{_number(older[-1]) + 1 if older else 1}")
    try:
        for ending in reversed(_COMPANIONS):  # the database last: its name says what is done
            part = path.with_name(path.name + ending)
            if part.exists():
                part.replace(aside.with_name(aside.name + ending))
        finish(path, salvaged)
        for old in older[: len(older) + 1 - KEPT]:
            for ending in _COMPANIONS:
                old.with_name(old.name + ending).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"{path} is damaged and cannot be put aside: {error}") from error
    return aside


def finish(path: Path, salvaged: Path) -> None:
    """Give a salvaged database its name, if the power failed before it had it.

    One that is beside the damaged database is not complete, and is begun anew.
    """
    if not path.exists() and salvaged.exists():
        salvaged.replace(path)
    for ending in _COMPANIONS:
        salvaged.with_name(salvaged.name + ending).unlink(missing_ok=True)


def read_blocks(path: Path) -> Iterator[Block]:
    """The blocks that are still legible."""
    for raw in _values(path, "block"):
        try:
            yield Block.decode(raw)
        except MalformedError as error:
            log.warning("an illegible block", extra={"file": path, "error": error})


def read_payloads(path: Path) -> Iterator[bytes]:
    """The payloads that are still legible."""
    yield from _values(path, "payload")


def read_waiting(path: Path) -> Iterator[Transaction]:
    """The waiting transactions that are still legible."""
    for raw in _values(path, "mempool"):
        try:
            yield decode_transaction(raw)
        except MalformedError as error:
            log.warning("an illegible transaction", extra={"file": path, "error": error})


def _values(path: Path, table: str) -> Iterator[bytes]:
    """The raw bytes of a table's rows, one by one, so that a bad page costs its rows only."""
    rows = path.stat().st_size // _SMALLEST_ROW_BYTES
    with _opened(path) as database:
        row = 0
        while database is not None and row < rows:
            row = yield from _run(database, table, row, rows)


def _run(
    database: sqlite3.Connection, table: str, after: int, last: int
) -> Generator[bytes, None, int]:
    """Rows in sequence up to the next bad page; returns the row to go on after."""
    try:
        found = database.execute(
            f"SELECT rowid, raw FROM {table} WHERE rowid > ? ORDER BY rowid",  # noqa: S608
            (after,),
        )
        for row, raw in found:
            after = row
            if isinstance(raw, bytes):
                yield raw
    except sqlite3.DatabaseError:
        return after + 1
    return last


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection | None]:
    """The damaged database, only to read; None if nothing of it can be read."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        try:
            # With it SQLite reads a file that is shorter than its header says.
            database.execute("PRAGMA writable_schema = ON")
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.DatabaseError as error:
            log.warning("nothing can be read", extra={"file": path, "error": error})
            yield None
        else:
            yield database


def _number(aside: Path) -> int:
    return int(aside.name.rpartition("-")[2])
