"""The names and numbers that all else in a chain's store hangs on, each with a checksum.

One flipped bit in them would make the store another ward's or a newer program's, or would lower a
vow, and nothing else in the file would contradict it.
"""

import sqlite3
import zlib
from typing import Any

from edgenode.storage.errors import AlteredRecordError

STORE_FORMAT = 5

META_SCHEMA = """
-- The row 'format' and its checksum are the same in every format, so that each program can tell.
CREATE TABLE meta (
    key TEXT PRIMARY KEY, value BLOB NOT NULL, crc INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
"""

_KEYS = frozenset({"format", "genesis", "head", "floor", "final", "vow", "keys"})
_NUMBER_BYTES = 8


def read(database: sqlite3.Connection, path: str, key: str) -> bytes | None:
    """A value by its key, if it is there.

    Raises:
        AlteredRecordError: it is not what was written.
    """
    row = database.execute("SELECT value, crc FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else _checked(path, key, *row)


def read_number(database: sqlite3.Connection, path: str, key: str) -> int | None:
    """The same for a number."""
    raw = read(database, path, key)
    return None if raw is None else int.from_bytes(raw, signed=True)


def write(database: sqlite3.Connection, key: str, value: bytes | int) -> None:
    """Put a value in the place of the last, in a transaction of the caller's."""
    raw = value.to_bytes(_NUMBER_BYTES, signed=True) if isinstance(value, int) else value
    database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?, ?)", (key, raw, _crc(key, raw)))


def check_all(database: sqlite3.Connection, path: str) -> None:
    """Look at every row.

    Raises:
        AlteredRecordError: one is not what was written, or one that is always there is missing.
    """
    found = set()
    # As bytes, whatever the connection makes of text: what the disk has altered need not be any.
    for raw_key, value, crc in database.execute("SELECT CAST(key AS BLOB), value, crc FROM meta"):
        key = raw_key.decode("ascii", errors="replace")
        if key not in _KEYS:
            raise AlteredRecordError(f"{path}: a key in its table meta changed on the disk")
        _checked(path, key, value, crc)
        found.add(key)
    for key in ("format", "genesis", "head", "floor"):
        if key not in found:
            raise AlteredRecordError(f"{path}: its table meta lost {key} on the disk")


def _checked(path: str, key: str, value: Any, crc: Any) -> bytes:  # noqa: ANN401  (as stored)
    if not isinstance(value, bytes) or _crc(key, value) != crc:
        raise AlteredRecordError(f"{path}: {key} in its table meta changed on the disk")
    return value


def _crc(key: str, value: bytes) -> int:
    return zlib.crc32(key.encode() + b"\0" + value)
