"""How a chain database that was made anew takes the place of the damaged one.

    chain.db             the store
    chain.db.salvaged    what is made anew of a damaged store; whole once chain.db is gone
    chain.db.damaged-1   a damaged store, put aside; -wal beside it belongs to it

A power cut at any instruction leaves either the damaged store in its place with its log, to be
salvaged again, or its successor.
"""

import logging
import os
import shutil
from pathlib import Path

from edgenode.storage.chain_file import damage_note
from edgenode.storage.directory import sync_directory
from edgenode.storage.errors import StoreError

log = logging.getLogger(__name__)

KEPT = 3
"""Damaged files that are kept for whoever wants to look at them; a card is small."""

_COMPANIONS = ("", "-wal", "-shm")


def make_room(path: Path) -> None:
    """Let older damaged files go where the one that is made of this database would have no room."""
    for old in _asides(path):
        if shutil.disk_usage(path.parent).free >= path.stat().st_size:
            return
        log.warning("no room for it beside a new one", extra={"file": old})
        _drop(old)


def discard(salvaged: Path) -> None:
    """Remove one that is not whole: it must not fill a disk that had no room for all of it."""
    _drop(salvaged)


def replace_damaged(path: Path, salvaged: Path) -> Path:
    """Put a damaged database aside and the salvaged one in its place.

    Should the power fail in between, `finish` completes the exchange.

    Returns:
        Where the damaged file is now: the old name with ".damaged-" and a number.

    Raises:
        StoreError: the files cannot be renamed.
    """
    log_of_it = _beside(salvaged, "-wal")
    if log_of_it.exists() and log_of_it.stat().st_size:
        raise StoreError(f"{salvaged} is not whole: its log is not empty")
    older = _asides(path)
    aside = path.with_name(f"{path.name}.damaged-{_number(older[-1]) + 1 if older else 1}")
    try:
        # The database first: that its name is gone says that the other one is whole. Were its log
        # first, a power cut would leave a database that has lost its last transactions.
        if os.geteuid() == 0:  # a person repairs it; its service is to open it
            was = path.stat()
            os.chown(salvaged, was.st_uid, was.st_gid)
        sync_directory(path.parent)
        path.replace(aside)
        finish(path, salvaged)
        for old in older[: len(older) + 1 - KEPT]:
            _drop(old)
    except OSError as error:
        raise StoreError(f"{path} is damaged and cannot be put aside: {error}") from error
    return aside


def finish(path: Path, salvaged: Path) -> None:
    """Give a salvaged database its name, if the power failed before it had it.

    One that is beside the damaged database is not whole, and is begun anew; nor is one that has a
    log, if somebody has removed the damaged database meanwhile.
    """
    if path.exists():
        _drop(salvaged)
        return
    if salvaged.exists():
        log_of_it = _beside(salvaged, "-wal")
        if log_of_it.exists() and log_of_it.stat().st_size:
            _drop(salvaged)
    if salvaged.exists():
        _put_log_aside(path)
        # The note that it is damaged stays until the other one is about to take its place.
        sync_directory(path.parent)
        damage_note(path).unlink(missing_ok=True)
        salvaged.replace(path)
        sync_directory(path.parent)
    else:
        damage_note(path).unlink(missing_ok=True)
    _drop(salvaged)


def _put_log_aside(path: Path) -> None:
    """Move the log after its database: beside another one it would be taken for that one's."""
    wal, asides = _beside(path, "-wal"), _asides(path)
    # An empty one is what reading the database has left.
    if wal.exists() and wal.stat().st_size and asides and not _beside(asides[-1], "-wal").exists():
        wal.replace(_beside(asides[-1], "-wal"))
    wal.unlink(missing_ok=True)
    _beside(path, "-shm").unlink(missing_ok=True)


def _asides(path: Path) -> list[Path]:
    """The damaged files that were put aside, oldest first."""
    return sorted(path.parent.glob(f"{path.name}.damaged-*[0-9]"), key=_number)


def _drop(database: Path) -> None:
    for ending in _COMPANIONS:
        _beside(database, ending).unlink(missing_ok=True)


def _beside(database: Path, ending: str) -> Path:
    return database.with_name(database.name + ending)


def _number(aside: Path) -> int:
    return int(aside.name.rpartition("-")[2])
