"""The file of the sample store: its schema, its rows, and how its errors are told apart.

One table, `records`, holds everything in the order in which it was received; `id` only grows and
is never used twice. A row carries its own checksum, because SQLite detects a torn structure but
not a flipped bit in a value, and an SD card does both.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np

from edgenode.tasks.stream import CHANNELS, Annotation, SampleBlock

# "edns": tells a sample store from any other SQLite file.
APPLICATION_ID = 0x65646E73
SCHEMA_VERSION = 1

# The text of each table's definition, which SQLite keeps in the file: other text is damage.
TABLES = {
    "meta": "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "records": """CREATE TABLE records (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    stream INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    first INTEGER NOT NULL,  -- index of the first sample in its stream
    at INTEGER NOT NULL,     -- seconds since 1970 when it was stored, by the wall clock
    data BLOB NOT NULL,
    crc INTEGER NOT NULL
)""",
    "sqlite_sequence": "CREATE TABLE sqlite_sequence(name,seq)",  # AUTOINCREMENT's own
}

_CHECKED = struct.Struct("<qqqqq")


# What reading a file of any content may raise; `is_damage` tells which of them blame the content.
READ_ERRORS = (sqlite3.DatabaseError, UnicodeDecodeError)


class StoreError(Exception):
    """The sample store cannot do what it was asked to; the text says why."""


class StoreFullError(StoreError):
    """There is no room on the disk. Nothing is lost but what was being appended; try again."""


class StoreDamagedError(StoreError):
    """The file is truncated or corrupt. Open the store again: that salvages what can be read."""


class Kind(IntEnum):
    """What a row's `data` is."""

    SAMPLES = 0  # int16 little-endian, six per sample
    ANNOTATION = 1  # one byte, the code
    STREAM_START = 2  # the sensor's address in ASCII


@dataclass(frozen=True, slots=True)
class StreamStart:
    """A stream begins. Comes before everything else of its stream.

    Attributes:
        stream: Number of the stream, not negative.
        sensor: Address of the sensor that it comes from.
    """

    stream: int
    sensor: str


Record = StreamStart | SampleBlock | Annotation


@dataclass(frozen=True, slots=True)
class Row:
    """One row of `records`, without its checksum."""

    id: int
    stream: int
    kind: int
    first: int
    at: int
    data: bytes

    @property
    def crc(self) -> int:
        """The checksum that belongs to this row."""
        head = _CHECKED.pack(self.id, self.stream, self.kind, self.first, self.at)
        return zlib.crc32(self.data, zlib.crc32(head))

    def decode(self) -> Record | None:
        """The record that this row holds; None if it holds none (of a kind unknown here)."""
        try:
            match self.kind:
                case Kind.SAMPLES:
                    values = np.frombuffer(self.data, "<i2").astype(np.int16)
                    return SampleBlock(self.stream, self.first, values.reshape(-1, CHANNELS))
                case Kind.ANNOTATION:
                    return Annotation(self.stream, self.first, self.data[0])
                case Kind.STREAM_START:
                    return StreamStart(self.stream, self.data.decode("ascii"))
        except (ValueError, IndexError):
            return None
        return None


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's errors into those of the store.

    Raises:
        StoreFullError: No room on the disk.
        StoreDamagedError: The file is corrupt.
        StoreError: Anything else that SQLite or the system reports.
    """
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise _translate(path, error) from error
    except OSError as error:
        kind = StoreFullError if error.errno in {28, 122} else StoreError  # ENOSPC, EDQUOT
        raise kind(f"sample store {path}: {error}") from error


def _translate(path: Path, error: Exception) -> StoreError:
    if is_damage(error):
        return StoreDamagedError(f"sample store {path} is damaged: {error}")
    code = getattr(error, "sqlite_errorcode", 0)
    # SHMSIZE: the shared memory file of the write-ahead log could not grow.
    if code & 0xFF == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE:
        return StoreFullError(f"sample store {path}: no room on the disk: make room ({error})")
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    return StoreError(f"sample store {path}: {error} ({name})")


def is_damage(error: Exception) -> bool:
    """Whether SQLite says that the file's content is wrong.

    Our statements never change, so that an error in one of them (SQLITE_ERROR: no such column)
    means that the schema in the file has changed. Its messages quote the file, which need not be
    UTF-8 any more.
    """
    if isinstance(error, UnicodeDecodeError):
        return True
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in {
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_FORMAT,
        sqlite3.SQLITE_ERROR,
    }


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open the file itself; no check and no schema. Transactions are begun explicitly."""
    mode = "ro" if read_only else "rw"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        timeout=5.0,  # readers never block the writer in WAL; this covers recovery after a crash
        check_same_thread=False,  # one thread at a time; which one is the caller's affair
    )
    # Text in a damaged file need not be UTF-8; it is compared, never trusted.
    connection.text_factory = lambda text: text.decode("utf-8", errors="replace")
    return connection


def create(path: Path, store_id: int) -> sqlite3.Connection:
    """Make an empty store in a file that does not exist or is empty; owner only."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.close(descriptor)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    connection = connect(path)
    try:
        connection.execute("PRAGMA synchronous = FULL")
        # One transaction: a power cut leaves either nothing or a whole, empty store.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(TABLES["meta"])
        connection.execute(TABLES["records"])
        write_meta(connection, "store", store_id)
        write_meta(connection, "next_stream", 1)
        write_meta(connection, "schema", version_mark(SCHEMA_VERSION))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        # Nobody else could close the database; the error itself goes on.
        connection.close()
        raise
    return connection


def version_mark(version: int) -> int:
    """The number in `meta` that says a schema's version once more, with a checksum.

    Every version keeps it there: one number alone, in which the disk has flipped a bit, would make
    the store that of a program which does not exist.
    """
    return version << 32 | zlib.crc32(version.to_bytes(4))


def read_meta(connection: sqlite3.Connection, key: str) -> int:
    """A number of the `meta` table; 0 if it is not there."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return int(row[0]) if row else 0


def write_meta(connection: sqlite3.Connection, key: str, value: int) -> None:
    """Set a number of the `meta` table."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def insert(connection: sqlite3.Connection, row: Row) -> None:
    """Insert a row with its checksum."""
    connection.execute(
        "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)",
        (row.id, row.stream, row.kind, row.first, row.at, row.data, row.crc),
    )


def last_id(connection: sqlite3.Connection) -> int:
    """The highest id that was ever given to a row."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'records'").fetchone()
    return int(row[0]) if row else 0


@dataclass(frozen=True, slots=True)
class Page:
    """What a read found.

    Attributes:
        rows: Intact rows in order of their id.
        last: Id up to which everything was read or skipped; not less than what was asked after.
        damaged: How many rows were skipped because their checksum is wrong, or 1 for a stretch
            that could not be read at all.
    """

    rows: list[Row]
    last: int
    damaged: int


def read_rows(connection: sqlite3.Connection, after: int, limit: int) -> Page:
    """Read up to `limit` rows with an id above `after`, stepping over what is damaged."""
    rows, last, damaged, error = _read_until_error(connection, after, limit)
    if error is None or last > after:
        return Page(rows, last, damaged)
    resume = _first_readable(connection, after, last_id(connection))
    if resume is None:
        return Page([], after, damaged)
    rows, last, more, _ = _read_until_error(connection, resume, limit)
    return Page(rows, max(last, resume), damaged + more + 1)


def _read_until_error(
    connection: sqlite3.Connection, after: int, limit: int
) -> tuple[list[Row], int, int, Exception | None]:
    rows: list[Row] = []
    last, damaged = after, 0
    query = "SELECT id, stream, kind, first, at, data, crc FROM records WHERE id > ? ORDER BY id"
    try:
        for *content, crc in connection.execute(f"{query} LIMIT ?", (after, limit)):
            row = _intact(content, crc)
            # A damaged tree may lead to a row twice, or back.
            if row is None or row.id <= last:
                damaged += 1
            else:
                rows.append(row)
            last = max(last, int(content[0]))
    except READ_ERRORS as error:
        if not is_damage(error):
            raise
        return rows, last, damaged, error
    return rows, last, damaged, None


def _intact(content: list[object], crc: object) -> Row | None:
    """The row, unless its checksum or the type of a column is wrong."""
    *columns, data = content
    numbers = [column for column in columns if isinstance(column, int)]
    if not isinstance(data, bytes) or len(numbers) != len(columns):
        return None
    identity, stream, kind, first, at = numbers
    row = Row(identity, stream, kind, first, at, data)
    return row if row.crc == crc else None


def _first_readable(connection: sqlite3.Connection, after: int, last: int) -> int | None:
    """The smallest id after which a row can be read again, or None up to `last`.

    Whole stretches of ids are unreadable together (a damaged page), and ids jump by 2**32 after a
    salvage, so the step doubles until something can be read and is then narrowed by bisection.
    """
    unreadable, step = after, 1
    while unreadable < last:
        candidate = min(after + step, last)
        if _readable_after(connection, candidate):
            break
        unreadable, step = candidate, step * 2
    else:
        return None
    while candidate - unreadable > 1:
        middle = (candidate + unreadable) // 2
        if _readable_after(connection, middle):
            candidate = middle
        else:
            unreadable = middle
    return candidate


def _readable_after(connection: sqlite3.Connection, after: int) -> bool:
    query = "SELECT data FROM records WHERE id > ? ORDER BY id LIMIT 1"
    try:
        return connection.execute(query, (after,)).fetchone() is not None
    except READ_ERRORS as error:
        if is_damage(error):
            return False
        raise
