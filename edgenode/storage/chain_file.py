"""The file of a chain's store: its tables, and what must hold before anything in it is used."""

import sqlite3
import zlib
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from edgenode.storage import meta
from edgenode.storage.errors import DamagedStoreError, ForeignStoreError, translated
from edgenode.storage.file_header import check_header
from edgenode.storage.headers import HEADERS_SCHEMA
from edgenode.storage.meta import META_SCHEMA, STORE_FORMAT
from edgenode.storage.new_file import write_new

_LOG_BYTES = 4 << 20
"""The log is cut back to this once it was copied: somebody who reads all holds it up for long."""

# STRICT: integrity_check then also finds a value whose type the disk has altered.
_SCHEMA = (
    META_SCHEMA
    + """
-- Every stored block, its header once more among its bytes: what is left of a damaged file is taken
-- over block by block. It has an undo record while it belongs to the chain, NULL beside it.
CREATE TABLE block (
    id BLOB PRIMARY KEY, height INTEGER NOT NULL, raw BLOB NOT NULL, undo BLOB
) STRICT;
CREATE INDEX block_beside ON block (height) WHERE undo IS NULL;
CREATE INDEX block_height ON block (height);
CREATE TABLE payload (id BLOB PRIMARY KEY, raw BLOB NOT NULL) STRICT;
-- Which stored block or waiting update names a payload.
CREATE TABLE payload_user (
    payload BLOB NOT NULL, user BLOB NOT NULL, PRIMARY KEY (payload, user)
) WITHOUT ROWID, STRICT;
CREATE INDEX payload_of_user ON payload_user (user);
-- height is that of the last block with this root, snapshot that of the last one that keeps it.
CREATE TABLE parameters (
    root BLOB PRIMARY KEY, height INTEGER NOT NULL, snapshot INTEGER, raw BLOB NOT NULL
) STRICT;
-- The state but for the parameters, at the head.
CREATE TABLE record (
    key BLOB PRIMARY KEY, value BLOB NOT NULL, crc INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
-- All records after the chain's block at a height, in their one form.
CREATE TABLE state (
    root BLOB PRIMARY KEY, height INTEGER NOT NULL, raw BLOB NOT NULL
) STRICT;
CREATE TABLE mempool (
    id BLOB PRIMARY KEY, arrival INTEGER NOT NULL, raw BLOB NOT NULL
) STRICT;
"""
    + HEADERS_SCHEMA
)

_NEEDED_TO_START = ("record", "mempool", "beside")
"""Tables that a start reads as a whole. Of the others it reads a few rows, which have checksums or
are named by their hashes: damage in them is met when they are used."""


def damage_note(path: Path) -> Path:
    """The file beside a database that says what damage was met in it."""
    return path.with_name(path.name + "-damage")


def condemn(path: Path, damage: str) -> None:
    """Have the next start treat a store as damaged, though it may find nothing wrong.

    In a file of its own: the database may take no more writes.

    Raises:
        OSError: the file cannot be written.
    """
    note = damage_note(path)
    if note.exists():
        return  # what was met first is enough, and to try again would cost the card a flush
    with suppress(FileExistsError):
        write_new(note, ascii(damage)[1:-1], 0o600)


def open_chain_file(path: Path | str, genesis_id: bytes) -> sqlite3.Connection:
    """Open or create the database of one ward; checks what a start needs of it.

    Raises:
        DamagedStoreError: the file is no intact database, or damage was met in it before.
        ForeignStoreError: it belongs to another ward or was written by another program.
    """
    if isinstance(path, Path) and damage_note(path).exists():
        raise DamagedStoreError(_text_of(damage_note(path)))
    name = str(path)
    with translated(name, opening=True):
        database = sqlite3.connect(name, isolation_level=None)
        try:
            # Text in a damaged file need not be UTF-8; and of text where bytes should be a
            # checksum says whether they are the same.
            database.text_factory = bytes
            database.execute("PRAGMA journal_mode = WAL")
            # FULL: a commit that returned is on the disk, also when power fails next.
            database.execute("PRAGMA synchronous = FULL")
            # Debian's SQLite overwrites what is deleted with zeros, which wears the card: a
            # payload that is let go would be written twice more. It is no secret in the ward.
            database.execute("PRAGMA secure_delete = OFF")
            database.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
            _make_tables(database, name, genesis_id)
            _check_format(database, name, genesis_id)
            _check_intact(database, name)
        except BaseException:
            # Nobody else could close the database; the error itself goes on.
            database.close()
            raise
    return database


def checked_record(path: str, key: bytes, value: Any, crc: Any) -> bytes:  # noqa: ANN401  (stored)
    """A record's value; raises DamagedStoreError if it is not what was written."""
    if not isinstance(value, bytes) or zlib.crc32(key + value) != crc:
        raise DamagedStoreError(f"{path}: record {key.hex()} changed on the disk")
    return value


def _check_intact(database: sqlite3.Connection, path: str) -> None:
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.text_factory = bytes
        fresh.executescript(_SCHEMA)
        if _tables(database) != _tables(fresh):
            raise DamagedStoreError(f"{path}: its tables are not those of its format")
    _check_places(database, path)
    meta.check_all(database, path)
    for table in _NEEDED_TO_START:
        _check_table(database, path, table)
    for row in database.execute("SELECT key, value, crc FROM record"):
        checked_record(path, *row)


def _check_table(database: sqlite3.Connection, path: str, table: str) -> None:
    # Not quick_check: what an altered index does not find would be asked for again and again.
    (verdict,) = database.execute(f"PRAGMA integrity_check({table})").fetchone()
    if verdict != b"ok":
        raise DamagedStoreError(f"{path}: {verdict.decode('ascii', errors='replace')}")


def _check_places(database: sqlite3.Connection, path: str) -> None:
    """See that nothing would be written over something that is there."""
    (roots, different) = database.execute(
        "SELECT count(*), count(DISTINCT rootpage) FROM sqlite_master"
    ).fetchone()
    if roots != different:
        raise DamagedStoreError(f"{path}: two of its tables are in one place")
    if path == ":memory:":
        return
    check_header(Path(path))
    pages, size = (
        database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size")
    )
    if pages * size < Path(path).stat().st_size // size * size:
        raise DamagedStoreError(f"{path}: it says that it is shorter than it is")


def _make_tables(database: sqlite3.Connection, path: str, genesis_id: bytes) -> None:
    if _tables(database):
        return
    if database.execute("PRAGMA page_count").fetchone()[0] > 1:
        raise DamagedStoreError(f"{path}: it has no tables, but is not empty")
    database.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA.split(";"):
        database.execute(statement)
    meta.write(database, "format", STORE_FORMAT)
    meta.write(database, "genesis", genesis_id)
    meta.write(database, "head", genesis_id)
    meta.write(database, "floor", 0)
    database.execute("COMMIT")


def _check_format(database: sqlite3.Connection, path: str, genesis_id: bytes) -> None:
    if b"meta" not in _tables(database):
        raise DamagedStoreError(f"{path}: it does not say what format it has")
    _check_table(database, path, "meta")
    # A store is left alone only where a checksum says that it is another program's or ward's: what
    # the disk has altered nobody else would mend.
    written = meta.read_number(database, path, "format")
    if written is None:
        raise DamagedStoreError(f"{path}: it does not say what format it has")
    if written != STORE_FORMAT:
        raise ForeignStoreError(
            f"{path} has format {written}, this program reads {STORE_FORMAT}; "
            "run the program that wrote it"
        )
    if meta.read(database, path, "genesis") not in (genesis_id, None):
        raise ForeignStoreError(
            f"{path} belongs to another ward; give this node another state directory "
            "or the genesis file that it was started with"
        )


def _tables(database: sqlite3.Connection) -> dict[bytes, bytes]:
    """The statements that made the tables and indices of a database, by name."""
    return dict(database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


def _text_of(note: Path) -> str:
    try:
        return note.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        return f"{note}: {error}"
