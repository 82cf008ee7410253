"""Headers in SQLite: the trunk in rows of 50, the others each in a row of its own.

What is handed over waits in memory until the next transaction of the store, a block's or its own:
a commit for each header would wear out a card.
"""

import sqlite3
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from edgenode.ledger.hashes import sha256d
from edgenode.ledger.header import HEADER_BYTES
from edgenode.ledger.header_index import Placed
from edgenode.native import _kernels
from edgenode.storage import meta
from edgenode.storage.errors import AlteredRecordError, translated
from edgenode.storage.header_keys import KEYS_SCHEMA, HeaderKeys

PAGE_HEADERS = 50
"""Headers in a row of the trunk, which then fits a page of SQLite's."""

PAGES_REMEMBERED = 16

_KEYS_AT_ONCE = 100 * PAGE_HEADERS
_WORK_BYTES = 32

# Work is a big-endian number of 32 bytes, so that SQLite compares it as one.
HEADERS_SCHEMA = (
    """
-- The heaviest known branch of headers by height, genesis included. work is that of
-- all before.
CREATE TABLE trunk (
    page INTEGER PRIMARY KEY, work BLOB NOT NULL, crc INTEGER NOT NULL, raw BLOB NOT NULL
) STRICT;
-- Every other known header.
CREATE TABLE beside (
    id BLOB PRIMARY KEY,
    height INTEGER NOT NULL,
    work BLOB NOT NULL,
    crc INTEGER NOT NULL,
    raw BLOB NOT NULL
) STRICT;
"""
    + KEYS_SCHEMA
)


@dataclass(slots=True)
class _Page:
    """Headers of consecutive heights; `work` is that of the branch before them."""

    work: int
    raw: bytearray


class SqliteHeaders:
    """A `ledger.header_index.HeaderIndex` in the tables of a chain's database."""

    def __init__(
        self,
        database: sqlite3.Connection,
        path: str,
        transaction: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Open the tables; `transaction` begins one of the store, which writes what waits here."""
        self._db = database
        self._path = path
        self._transaction = transaction
        self._pages: dict[int, _Page] = {}
        self._altered: dict[int, _Page] = {}
        self._new: dict[bytes, Placed] = {}
        self._gone: set[bytes] = set()
        self._unwritten = 0
        self._shortened = False
        self._total: int | None = None  # work of the trunk, once it was needed
        with translated(path):
            last = database.execute(
                "SELECT page, coalesce(length(raw), 0) FROM trunk ORDER BY page DESC LIMIT 1"
            ).fetchone()
            covered = meta.read_number(database, path, "keys")
        self._height = -1 if last is None else last[0] * PAGE_HEADERS + last[1] // HEADER_BYTES - 1
        self._keys = HeaderKeys(database, path, -1 if covered is None else covered)
        # Keys that are in no table are made when the first is looked for: it takes some time.
        self._without_keys = range(self._keys.covered + 1, self._height + 1)
        self._rewritten = False

    # What is known

    @property
    def height(self) -> int:
        """See HeaderIndex."""
        return self._height

    @property
    def unwritten(self) -> int:
        """See HeaderIndex."""
        return self._unwritten

    def at(self, height: int) -> Placed | None:
        """See HeaderIndex."""
        if not 0 <= height <= self._height:
            return None
        page, place = divmod(height, PAGE_HEADERS)
        found = self._page(page)
        end = (place + 1) * HEADER_BYTES
        work = found.work + _work(bytes(found.raw[:end]))
        return Placed(height, work, bytes(found.raw[end - HEADER_BYTES : end]))

    def raw(self, height: int, count: int) -> bytes:
        """See HeaderIndex."""
        end = min(height + count, self._height + 1)
        found = bytearray()
        while height < end:
            page, place = divmod(height, PAGE_HEADERS)
            taken = min(end - height, PAGE_HEADERS - place)
            first = place * HEADER_BYTES
            found += self._page(page).raw[first : first + taken * HEADER_BYTES]
            height += taken
        return bytes(found)

    def find(self, block_id: bytes) -> Placed | None:
        """See HeaderIndex."""
        found = self._new.get(block_id)
        if found is not None:
            return found
        with translated(self._path):
            self._make_keys()
            for height in self._keys.heights(block_id):
                placed = self.at(height)
                if placed is not None and sha256d(placed.raw) == block_id:
                    return placed
            if block_id in self._gone:
                return None
            row = self._db.execute(
                "SELECT id, height, work, crc, raw FROM beside WHERE id = ?", (block_id,)
            ).fetchone()
        return None if row is None else self._placed(*row)

    def beside(self, above: int = -1) -> Iterator[tuple[bytes, Placed]]:
        """See HeaderIndex."""
        with translated(self._path):
            rows = self._db.execute(
                "SELECT id, height, work, crc, raw FROM beside WHERE work > ? ORDER BY rowid",
                (above.to_bytes(_WORK_BYTES) if above >= 0 else b"",),
            ).fetchall()
        for row in rows:
            if row[0] not in self._gone and row[0] not in self._new:
                yield row[0], self._placed(*row)
        for block_id, placed in list(self._new.items()):
            if placed.work > above:
                yield block_id, placed

    # What comes and goes

    def begin(self, genesis: bytes) -> None:
        """See HeaderIndex."""
        if self._height < 0:
            self.extend(genesis, sha256d(genesis))
        elif self.raw(0, 1) != genesis:
            raise AlteredRecordError(f"{self._path}: the genesis header changed on the disk")

    def extend(self, headers: bytes, ids: bytes) -> int:
        """See HeaderIndex."""
        self._keys.add(self._height + 1, ids)
        total = self._total
        if total is None:
            tip = self.at(self._height)
            total = 0 if tip is None else tip.work
        offset = 0
        while offset < len(headers):
            page, place = divmod(self._height + 1, PAGE_HEADERS)
            taken = headers[offset : offset + (PAGE_HEADERS - place) * HEADER_BYTES]
            offset += len(taken)
            if not place:
                self._altered[page] = _Page(total, bytearray())
            self._to_alter(page).raw.extend(taken)
            self._height += len(taken) // HEADER_BYTES
            total += _work(taken)
        self._unwritten += len(headers) // HEADER_BYTES
        self._total = total
        return total

    def cut(self, height: int) -> None:
        """See HeaderIndex."""
        page, place = divmod(height, PAGE_HEADERS)
        del self._to_alter(page).raw[(place + 1) * HEADER_BYTES :]
        for number in [n for n in self._altered if n > page]:
            del self._altered[number]
        for number in [n for n in self._pages if n > page]:
            del self._pages[number]
        self._keys.cut(height)
        self._total = None
        self._height = height
        self._unwritten += 1
        self._shortened = True

    def add_beside(self, block_id: bytes, placed: Placed) -> None:
        """See HeaderIndex."""
        self._new[block_id] = placed
        self._unwritten += 1

    def drop_beside(self, block_ids: set[bytes]) -> None:
        """See HeaderIndex."""
        for block_id in block_ids:
            self._new.pop(block_id, None)
        self._gone |= block_ids
        self._unwritten += len(block_ids)

    def keep(self) -> None:
        """See HeaderIndex."""
        if self._unwritten:
            with self._transaction():
                pass  # every transaction of the store writes what waits here

    # How the store writes it

    def write(self) -> None:
        """In a transaction of the store: write all that waits."""
        if not self._unwritten:
            return
        self._make_keys()
        self._db.executemany(
            "INSERT OR REPLACE INTO trunk VALUES (?, ?, ?, ?)",
            [_page_row(number, page) for number, page in self._altered.items()],
        )
        if self._shortened:
            self._db.execute("DELETE FROM trunk WHERE page > ?", (self._height // PAGE_HEADERS,))
        self._db.executemany("DELETE FROM beside WHERE id = ?", [(name,) for name in self._gone])
        self._db.executemany(
            "INSERT OR REPLACE INTO beside VALUES (?, ?, ?, ?, ?)",
            [_beside_row(block_id, placed) for block_id, placed in self._new.items()],
        )
        self._rewritten = self._keys.write(self._height)
        covered = self._height if self._rewritten else self._keys.covered
        meta.write(self._db, "keys", covered)

    def written(self) -> None:
        """What the last `write` wrote is on the disk."""
        if not self._unwritten:
            return
        for number in list(self._altered)[-PAGES_REMEMBERED:]:
            self._pages[number] = self._altered[number]
        self._altered.clear()
        self._new.clear()
        self._gone.clear()
        self._unwritten = 0
        self._shortened = False
        if self._rewritten:
            self._keys.written(self._height)
        self._trim()

    # How it is done

    def _page(self, number: int) -> _Page:
        """A row of the trunk, to read."""
        found = self._altered.get(number) or self._pages.get(number)
        if found is not None:
            return found
        with translated(self._path):
            row = self._db.execute(
                "SELECT work, crc, raw FROM trunk WHERE page = ?", (number,)
            ).fetchone()
        if (
            row is None
            or not _are_bytes(row[0], row[2])
            or _page_crc(number, row[0], row[2]) != row[1]
        ):
            raise AlteredRecordError(
                f"{self._path}: headers from height {number * PAGE_HEADERS} on changed on the disk"
            )
        found = _Page(int.from_bytes(row[0]), bytearray(row[2]))
        self._pages[number] = found
        self._trim()
        return found

    def _to_alter(self, number: int) -> _Page:
        """A row of the trunk, to change; the next write puts it on the disk."""
        page = self._page(number)
        if number not in self._altered:
            # A copy: should the write fail, nothing else than what it was is remembered.
            self._pages.pop(number, None)
            self._altered[number] = page
        return page

    def _trim(self) -> None:
        for number in list(self._pages)[:-PAGES_REMEMBERED]:
            del self._pages[number]

    def _make_keys(self) -> None:
        """Make the keys that are in no table."""
        for first in range(self._without_keys.start, self._without_keys.stop, _KEYS_AT_ONCE):
            count = min(_KEYS_AT_ONCE, self._without_keys.stop - first)
            self._keys.add(first, _kernels.header_ids(self.raw(first, count)))
        self._without_keys = range(0)

    def _placed(self, block_id: bytes, height: int, work: bytes, crc: int, raw: bytes) -> Placed:
        if (
            not _are_bytes(block_id, work, raw)
            or not isinstance(height, int)
            or _beside_crc(block_id, height, work, raw) != crc
        ):
            raise AlteredRecordError(f"{self._path}: header {block_id.hex()} changed on the disk")
        return Placed(height, int.from_bytes(work), raw)


def _work(headers: bytes) -> int:
    return int.from_bytes(_kernels.total_work(headers), "little")


def _are_bytes(*values: object) -> bool:
    """Whether the disk has left their types as they were."""
    return all(isinstance(value, bytes) for value in values)


def _page_crc(number: int, work: bytes, raw: bytes) -> int:
    return zlib.crc32(number.to_bytes(8) + work + raw)


def _page_row(number: int, page: _Page) -> tuple[int, bytes, int, bytes]:
    work, raw = page.work.to_bytes(_WORK_BYTES), bytes(page.raw)
    return number, work, _page_crc(number, work, raw), raw


def _beside_crc(block_id: bytes, height: int, work: bytes, raw: bytes) -> int:
    return zlib.crc32(block_id + height.to_bytes(8, signed=True) + work + raw)


def _beside_row(block_id: bytes, placed: Placed) -> tuple[bytes, int, bytes, int, bytes]:
    work = placed.work.to_bytes(_WORK_BYTES)
    crc = _beside_crc(block_id, placed.height, work, placed.raw)
    return block_id, placed.height, work, crc, placed.raw
