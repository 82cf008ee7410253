"""Where on the trunk a block id may be found: 8 bytes for a header, most of them on the disk.

A key is 31 bits of the id above 32 bits of the height. It only says where to look: whoever finds
the height compares the whole id, so keys of headers that left the trunk do no harm. Keys of older
headers lie sorted in the table, those of newer ones in memory; when the newer ones are an eighth
of all, the table is written anew. So nothing is written for a header at random places of the disk,
as an index of SQLite's would do, and a start computes few ids.
"""

import sqlite3
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgenode.ledger.header import ID_BYTES
from edgenode.storage.errors import AlteredRecordError

KEYS_SCHEMA = """
-- Keys of headers of the trunk, sorted, 500 to a row. The first one names the row.
CREATE TABLE trunk_key (first INTEGER PRIMARY KEY, crc INTEGER NOT NULL, keys BLOB NOT NULL) STRICT;
"""

KEYS_IN_ROW = 500
"""A row of them fits a page of SQLite's."""

FEWEST_NEW = 8192
"""New keys that are kept in memory in any case."""

SHARE_NEW = 8
"""The table is written anew when one key in so many is new: nine times in all for each key."""

_KEY = np.dtype("<u8")
_ID_BITS = (1 << 31) - 1  # SQLite's integers are signed
_HEIGHTS = (1 << 32) - 1

Keys = NDArray[np.uint64]


class HeaderKeys:
    """The keys of the trunk's headers."""

    def __init__(self, database: sqlite3.Connection, path: str, covered: int) -> None:
        """Open the table, which covers the trunk up to the height `covered` (−1 for nothing)."""
        self._db = database
        self._path = path
        self.covered = covered
        self._new = np.empty(0, _KEY)
        self._fresh: list[tuple[int, bytearray]] = []

    def add(self, height: int, ids: bytes) -> None:
        """Note ids of headers (32 bytes each) from a height on."""
        if self._fresh and height == self._fresh[-1][0] + len(self._fresh[-1][1]) // ID_BYTES:
            self._fresh[-1][1].extend(ids)
        else:
            self._fresh.append((height, bytearray(ids)))

    def cut(self, height: int) -> None:
        """The trunk ends at this height now, and may grow differently from there."""
        self.covered = min(self.covered, height)

    def heights(self, block_id: bytes) -> Iterator[int]:
        """Heights at which a header with this id may stand."""
        low = (int.from_bytes(block_id[:4], "little") & _ID_BITS) << 32
        high = low | _HEIGHTS
        self._sort_in()
        yield from _between(self._new, low, high)
        rows = self._db.execute(
            "SELECT first, crc, keys FROM trunk_key WHERE first <= ? ORDER BY first DESC", (high,)
        )
        for first, crc, raw in rows:
            yield from _between(self._row_keys(first, crc, raw), low, high)
            if first < low:
                break  # nothing of them is in the rows before

    def write(self, height: int) -> bool:
        """In a transaction: write the table anew, if it is time; returns whether it was.

        Args:
            height: Of the trunk's tip, which the table covers then.
        """
        self._sort_in()
        if len(self._new) <= max(FEWEST_NEW, (self.covered + 1) // SHARE_NEW):
            return False
        rows = self._db.execute("SELECT first, crc, keys FROM trunk_key ORDER BY first")
        old = [self._row_keys(*row) for row in rows]
        merged = np.unique(np.concatenate([*old, self._new]))
        merged = merged[(merged & np.uint64(_HEIGHTS)) <= np.uint64(height)]
        self._db.execute("DELETE FROM trunk_key")
        self._db.executemany(
            "INSERT INTO trunk_key VALUES (?, ?, ?)",
            (_row(merged[i : i + KEYS_IN_ROW]) for i in range(0, len(merged), KEYS_IN_ROW)),
        )
        return True

    def written(self, height: int) -> None:
        """The table, written anew for this height, is on the disk."""
        self._new = np.empty(0, _KEY)
        self.covered = height

    def _row_keys(self, first: int, crc: int, raw: bytes) -> Keys:
        if not isinstance(raw, bytes) or crc_of(first, raw) != crc:
            raise AlteredRecordError(f"{self._path}: keys from {first} on changed on the disk")
        return np.frombuffer(raw, _KEY)

    def _sort_in(self) -> None:
        if not self._fresh:
            return
        fresh = np.concatenate([_keys(height, ids) for height, ids in self._fresh])
        fresh.sort()
        self._new = np.insert(self._new, np.searchsorted(self._new, fresh), fresh)
        self._fresh.clear()


def _keys(height: int, ids: bytearray) -> Keys:
    names = np.frombuffer(ids, "<u4")[::8].astype(_KEY) & np.uint64(_ID_BITS)
    heights = np.arange(height, height + len(names), dtype=_KEY)
    return (names << np.uint64(32)) | heights


def _between(keys: Keys, low: int, high: int) -> Iterator[int]:
    """Heights of the keys from `low` to `high`."""
    first = int(np.searchsorted(keys, np.uint64(low)))
    for key in keys[first:]:
        if int(key) > high:
            break
        yield int(key) & _HEIGHTS


def _row(keys: Keys) -> tuple[int, int, bytes]:
    first, raw = int(keys[0]), keys.tobytes()
    return first, crc_of(first, raw), raw


def crc_of(first: int, raw: bytes) -> int:
    """The checksum of a row of the table."""
    return zlib.crc32(first.to_bytes(8, signed=True) + raw)
