"""Rescue of a damaged sample store: what can be read is kept, the damaged file is kept aside.

    samples.db             the store
    samples.db.salvaged    what is being copied out of a damaged store; complete once
                           samples.db is gone
    samples.db.damaged-1   a damaged store, set aside; -wal beside it belongs to it

The copy is complete and on disk before the first file is renamed, so that a power cut at any
instruction leaves either the damaged store in place, to be salvaged again, or its successor.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgenode.storage.directory import sync_directory
from edgenode.storage.samples_file import (
    READ_ERRORS,
    connect,
    create,
    insert,
    is_damage,
    last_id,
    read_meta,
    read_rows,
    write_meta,
)

# Damaged files hold what may still be worth an expert's look, and patient data and disk space:
# the newest few are enough to see a pattern.
MAX_SET_ASIDE = 3
# How far the numbers of records and streams step forward after a salvage. Records that were
# acknowledged but cannot be read any more had numbers too; new ones must lie beyond them, or a
# reader who already saw those would pass over the new ones.
RECORDS_STEP = 1 << 32
STREAMS_STEP = 1 << 20
_SALVAGED = ".salvaged"
_DAMAGED = ".damaged-"
_PAGE = 256


@dataclass(frozen=True, slots=True)
class Salvage:
    """What a salvage did.

    Attributes:
        set_aside: Where the damaged file is now.
        records: How many records were carried over.
        damaged: How many places could not be read.
    """

    set_aside: Path
    records: int
    damaged: int


def new_store_id() -> int:
    """A random, positive 63-bit number that tells this store from its predecessors."""
    return secrets.randbits(62) + 1


def finish_interrupted(path: Path) -> None:
    """Put right what a power cut during `salvage` left behind."""
    salvaged = _beside(path, _SALVAGED)
    if not salvaged.exists():
        return
    if path.exists():
        _unlink(salvaged)
    else:
        # The damaged file's log may still be here; beside its successor it would be replayed.
        _unlink(path)
        sync_directory(path.parent)
        salvaged.replace(path)
    sync_directory(path.parent)


def salvage(path: Path) -> Salvage:
    """Replace the damaged store at `path` by one with everything that can still be read.

    Raises:
        sqlite3.Error, OSError: The copy could not be written (no room); nothing has changed.
    """
    salvaged = _beside(path, _SALVAGED)
    _unlink(salvaged)
    try:
        records, damaged = _copy(path, salvaged)
    except BaseException:
        _unlink(salvaged)  # a partial copy must not fill a disk that has no room
        raise
    sync_directory(path.parent)
    aside = _set_aside(path)
    salvaged.replace(path)
    sync_directory(path.parent)
    return Salvage(aside, records, damaged)


def _copy(path: Path, salvaged: Path) -> tuple[int, int]:
    target = create(salvaged, new_store_id())
    try:
        target.execute("BEGIN IMMEDIATE")
        records, damaged = _copy_rows(path, target)
        target.execute("COMMIT")
    finally:
        target.close()
    return records, damaged


def _copy_rows(path: Path, target: sqlite3.Connection) -> tuple[int, int]:
    source = connect(path, read_only=True)
    # Otherwise SQLite refuses a truncated file altogether.
    source.execute("PRAGMA writable_schema = ON")
    records = damaged = after = next_stream = 0
    store = highest = None
    try:
        store = _if_readable(lambda: read_meta(source, "store"))
        highest = _if_readable(lambda: last_id(source))
        next_stream = _if_readable(lambda: read_meta(source, "next_stream")) or 0
        while True:
            page = read_rows(source, after, _PAGE)
            damaged += page.damaged
            for row in page.rows:
                insert(target, row)
                next_stream = max(next_stream, row.stream + 1)
            records += len(page.rows)
            if page.last == after:
                break
            after = page.last
    except READ_ERRORS as error:
        # Damage in the first pages: nothing more can be found. Any other error is the target's.
        if not is_damage(error):
            raise
        damaged += 1
    finally:
        source.close()
    if store and highest is not None:
        # Readers may go on with their cursors: what is new lies beyond all they can have seen.
        write_meta(target, "store", store)
        _set_last_id(target, max(highest, after) + RECORDS_STEP)
    write_meta(target, "next_stream", next_stream + STREAMS_STEP)
    return records, damaged


def _if_readable(read: Callable[[], int]) -> int | None:
    try:
        return read()
    except READ_ERRORS as error:
        if is_damage(error):
            return None
        raise


def _set_last_id(target: sqlite3.Connection, last: int) -> None:
    target.execute("DELETE FROM sqlite_sequence WHERE name = 'records'")
    target.execute("INSERT INTO sqlite_sequence VALUES ('records', ?)", (last,))


def _set_aside(path: Path) -> Path:
    prefix = path.name + _DAMAGED
    numbers = sorted(
        int(entry.name.removeprefix(prefix))
        for entry in path.parent.glob(prefix + "*")
        if entry.name.removeprefix(prefix).isdecimal()
    )
    for number in numbers[: max(0, len(numbers) - MAX_SET_ASIDE + 1)]:
        _unlink(_beside(path, f"{_DAMAGED}{number}"))
    aside = _beside(path, f"{_DAMAGED}{(numbers or [0])[-1] + 1}")
    # The log after its database: from here on the copy is the successor (`finish_interrupted`).
    path.replace(aside)
    sync_directory(path.parent)
    wal = _beside(path, "-wal")
    if wal.exists():
        wal.replace(_beside(aside, "-wal"))
    _beside(path, "-shm").unlink(missing_ok=True)
    sync_directory(path.parent)
    return aside


def _unlink(database: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        _beside(database, suffix).unlink(missing_ok=True)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
