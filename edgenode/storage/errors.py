"""What can be wrong with a chain database, and SQLite's errors in these words."""

import errno
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgenode.ledger.store import AlteredError


class StoreError(Exception):
    """The database cannot be used as it is; the message says why and what to do."""


class DamagedStoreError(StoreError):
    """The database file is damaged; `edgenode.storage.salvage` can read what is left."""


class AlteredRecordError(DamagedStoreError, AlteredError):
    """The database is sound, but a record in it is not what was written."""


class ForeignStoreError(StoreError):
    """The database belongs to another ward, or a newer program wrote it."""


class StoreFullError(StoreError):
    """The disk is full: nothing was written, everything written before is intact."""


_DAMAGE = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_TOOBIG,  # nothing here is: a length was altered
}
_PROBE_BYTES = 1 << 16
_DAMAGE_OF_SCHEMA = {sqlite3.SQLITE_ERROR, sqlite3.SQLITE_FORMAT}


@contextmanager
def translated(path: str, *, opening: bool = False) -> Iterator[None]:
    """SQLite's errors in the store's words; a mistake of ours stays what it is.

    With `opening` an error in a statement is damage, too: statements of a start never change, so
    that "no such column" means that the schema in the file has.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        extended = getattr(error, "sqlite_errorcode", 0)
        code = extended & 0xFF
        # No room for the log's index is no damage: it is how opening meets a full disk.
        if code == sqlite3.SQLITE_FULL or extended == sqlite3.SQLITE_IOERR_SHMSIZE:
            raise StoreFullError(f"no room left on the disk of {path}") from error
        if extended == sqlite3.SQLITE_IOERR_WRITE and _takes_no_more(Path(path).parent):
            raise StoreFullError(f"no room left on the disk of {path}") from error
        if code in _DAMAGE or (opening and code in _DAMAGE_OF_SCHEMA):
            raise DamagedStoreError(f"{path}: {error}") from error
        if isinstance(error, sqlite3.OperationalError):
            raise StoreError(f"{path}: {error}") from error
        raise
    except UnicodeDecodeError as error:
        # SQLite names a table of a damaged schema, as it finds it.
        raise DamagedStoreError(f"{path}: {error}") from error


def _takes_no_more(directory: Path) -> bool:
    """Whether a quota is spent, which SQLite does not tell from a disk that fails."""
    try:
        with tempfile.TemporaryFile(dir=directory) as file:
            os.pwrite(file.fileno(), bytes(_PROBE_BYTES), 0)
    except OSError as error:
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    return False
