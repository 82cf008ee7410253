"""What can be read of a damaged chain database: everything in it can be checked again."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from edgenode.ledger.block import Block
from edgenode.ledger.encoding import MalformedError
from edgenode.storage.chain import StoreError

log = logging.getLogger(__name__)

_COMPANIONS = ("", "-wal", "-shm")


def put_aside(path: Path) -> Path:
    """Rename a database and its companions so that a new one can take its place.

    Returns:
        The new name: the old one with ".damaged-" and the first free number.

    Raises:
        StoreError: the files cannot be renamed.
    """
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    try:
        for ending in _COMPANIONS:
            part = path.with_name(path.name + ending)
            if part.exists():
                part.replace(aside.with_name(aside.name + ending))
    except OSError as error:
        raise StoreError(f"{path} is damaged and cannot be put aside: {error}") from error
    return aside


def read_blocks(path: Path) -> Iterator[Block]:
    """The blocks that are still legible, in the order in which they were stored."""
    for raw in _values(path, "block"):
        try:
            yield Block.decode(raw)
        except MalformedError as error:
            log.warning("an illegible block in %s: %s", path, error)


def read_payloads(path: Path) -> Iterator[bytes]:
    """The payloads that are still legible."""
    yield from _values(path, "payload")


def _values(path: Path, table: str) -> Iterator[bytes]:
    """The raw bytes of a table's rows, one by one, so that a bad page costs its rows only."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
            last = _last_row(database, table)
            for row in range(1, last + 1):
                value = _value(database, table, row)
                if isinstance(value, bytes):
                    yield value
    except sqlite3.Error as error:
        log.warning("nothing more can be read of %s: %s", path, error)


def _last_row(database: sqlite3.Connection, table: str) -> int:
    (last,) = database.execute(f"SELECT max(rowid) FROM {table}").fetchone()  # noqa: S608
    # A damaged page could claim any number; the file's size bounds the rows that it can hold.
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    return min(int(last or 0), 64 * int(pages))


def _value(database: sqlite3.Connection, table: str, row: int) -> object:
    try:
        found = database.execute(
            f"SELECT raw FROM {table} WHERE rowid = ?",  # noqa: S608  (a table of ours)
            (row,),
        ).fetchone()
    except sqlite3.DatabaseError:
        return None
    return found and found[0]
