"""What can be read of a damaged chain database: everything in it can be checked again."""

import logging
import sqlite3
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from edgenode.ledger.block import Block
from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.hashes import content_id
from edgenode.ledger.header import HEADER_BYTES
from edgenode.ledger.transaction import Transaction, decode_transaction
from edgenode.storage.file_header import mend_header

log = logging.getLogger(__name__)

_INDICES = {
    "block": ("block_height", "sqlite_autoindex_block_1"),
    "payload": ("sqlite_autoindex_payload_1",),
    "parameters": ("sqlite_autoindex_parameters_1",),
    "state": ("sqlite_autoindex_state_1",),
    "mempool": ("sqlite_autoindex_mempool_1",),
    "beside": ("sqlite_autoindex_beside_1",),
    "trunk": (),
}
"""Each names the rows of its table once more."""

_STEP_ROWS = 256
"""Rows between two steps of which whoever waits is told."""

_ROWS = 1 << 62
"""Above any row: SQLite numbers them from 1 and never ran out, the trunk its own from 0."""


@contextmanager
def opened(path: Path, on_step: Callable[[], None]) -> Iterator["Legible"]:
    """The damaged database, only to read; `on_step` is called while it is."""
    mend_header(path)
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        database.text_factory = bytes  # what the disk has altered need not be UTF-8
        try:
            # With it SQLite reads a file that is shorter than its header says.
            database.execute("PRAGMA writable_schema = ON")
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.DatabaseError as error:
            log.warning("nothing can be read", extra={"file": path, "error": error})
            yield Legible(path, None, on_step)
        else:
            yield Legible(path, database, on_step)


class Legible:
    """The legible rows of each table, so that a bad page costs those that lie on it only."""

    def __init__(
        self, path: Path, database: sqlite3.Connection | None, on_step: Callable[[], None]
    ) -> None:
        self._path = path
        self._db = database
        self._on_step = on_step
        self._steps = 0
        self._known: dict[str, list[int]] = {}

    def blocks(self) -> Iterator[Block]:
        """The blocks that are still legible."""
        for _, raw in self._rows("block"):
            try:
                yield Block.decode(raw)
            except MalformedError as error:
                log.warning("an illegible block", extra={"file": self._path, "error": error})

    def headers(self) -> Iterator[bytes]:
        """The headers that are still legible, 80 bytes each, many consecutive ones at a time."""
        for table in ("trunk", "beside"):
            for _, raw in self._rows(table):
                if raw and len(raw) % HEADER_BYTES == 0:
                    yield raw

    def payload(self, name: bytes) -> bytes | None:
        """The payload with a content id, if its index still leads to it."""
        if self._db is None:
            return None
        self._step()
        try:
            found = self._db.execute("SELECT raw FROM payload WHERE id = ?", (name,)).fetchone()
        except sqlite3.DatabaseError:
            return None
        raw = found[0] if found else None
        return raw if isinstance(raw, bytes) and content_id(raw) == name else None

    def payloads(self) -> Iterator[bytes]:
        """The payloads that are still legible, however they are found."""
        for _, raw in self._rows("payload"):
            yield raw

    def waiting(self) -> Iterator[Transaction]:
        """The waiting transactions that are still legible."""
        for _, raw in self._rows("mempool"):
            try:
                yield decode_transaction(raw)
            except MalformedError as error:
                log.warning("an illegible transaction", extra={"file": self._path, "error": error})

    def named(self, table: str) -> dict[bytes, int]:
        """The rows of "state" or "parameters" by their content ids; `raw` reads one of them."""
        return {content_id(raw): row for row, raw in self._rows(table)}

    def raw(self, table: str, row: int) -> bytes | None:
        """The bytes of a row, if they are legible."""
        found = self._first(table, "= ?", row)
        return None if not found or not isinstance(found[1], bytes) else found[1]

    def _rows(self, table: str) -> Iterator[tuple[int, bytes]]:
        """Number and bytes of each legible row, ascending."""
        start = 0
        while self._db is not None:
            try:
                rows = self._db.execute(
                    f"SELECT rowid, raw FROM {table} WHERE rowid >= ? ORDER BY rowid",  # noqa: S608
                    (start,),
                )
                for row, raw in rows:
                    if row < start:
                        break  # a damaged tree leads back
                    self._step()
                    start = row + 1
                    if isinstance(raw, bytes):
                        yield row, raw
                else:
                    return
            except sqlite3.DatabaseError as error:
                # A page of it; what is legible beyond is looked for.
                log.debug("an illegible row", extra={"table": table, "row": start, "error": error})
            found = self._next(table, start)
            if found is None:
                return
            row, raw = found
            start = row + 1
            if isinstance(raw, bytes):
                yield row, raw

    def _next(self, table: str, start: int) -> tuple[int, object] | None:
        """The next legible row from `start` on, which itself is not.

        Its index names the rows. Where that is damaged as well, rows are looked for at steps that
        double: numbers only grow, and of a store that lets blocks go the first are far from 1.
        """
        found = [self._next_known(table, start), self._next_by_steps(table, start)]
        return min((row for row in found if row), key=lambda row: row[0], default=None)

    def _next_known(self, table: str, start: int) -> tuple[int, object] | None:
        rows = self._numbers(table)
        for row in rows[bisect_left(rows, start) :]:
            if found := self._first(table, "= ?", row):
                return found
        return None

    def _next_by_steps(self, table: str, start: int) -> tuple[int, object] | None:
        low, high, step = start - 1, start, 1
        found = self._first(table, ">= ?", high)
        while found is None:
            low, high, step = high, high + step, step * 2
            if high >= _ROWS:
                return None
            found = self._first(table, ">= ?", high)
        best = found
        while high - low > 1:
            middle = (low + high) // 2
            found = self._first(table, ">= ?", middle)
            if found is None:
                low = middle
            else:
                # Also where the table ends before it: there it may be legible further down.
                high, best = middle, found or best
        return best or None

    def _first(self, table: str, which: str, number: int) -> tuple[int, object] | tuple[()] | None:
        """The first row of those meant; empty if there is none, None if that cannot be read."""
        self._step()
        if self._db is None:
            return ()
        try:
            found = self._db.execute(
                f"SELECT rowid, raw FROM {table} WHERE rowid {which} ORDER BY rowid LIMIT 1",  # noqa: S608
                (number,),
            ).fetchone()
        except sqlite3.DatabaseError:
            return None
        if found is None:
            return ()
        return found if found[0] >= number else None

    def _numbers(self, table: str) -> list[int]:
        """The rows that the table's indices name, ascending."""
        if table not in self._known:
            found: set[int] = set()
            for index in _INDICES[table]:
                found.update(self._numbers_of(table, index))
            self._known[table] = sorted(found)
        return self._known[table]

    def _numbers_of(self, table: str, index: str) -> Iterator[int]:
        if self._db is None:
            return
        try:
            for (row,) in self._db.execute(f"SELECT rowid FROM {table} INDEXED BY {index}"):  # noqa: S608
                self._step()
                if isinstance(row, int):
                    yield row
        except sqlite3.DatabaseError as error:
            log.warning(
                "an illegible index",
                extra={"file": self._path, "index": index, "error": error},
            )

    def _step(self) -> None:
        self._steps += 1
        if self._steps % _STEP_ROWS == 0:
            self._on_step()
