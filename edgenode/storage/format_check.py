"""Whether a store can be opened by this program, found out without writing to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from edgenode.ledger.store import AlteredError
from edgenode.storage import meta
from edgenode.storage.chain_file import damage_note
from edgenode.storage.meta import STORE_FORMAT
from edgenode.storage.samples_file import APPLICATION_ID, SCHEMA_VERSION

PATIENCE_S = 2.0


def check_chain_store(path: Path) -> str:
    """What is wrong with the file of a chain; empty if nothing is.

    Only the format is looked at, and whether the gossip service has met damage.
    """
    note = damage_note(path)
    if note.exists():
        return f"{path} is damaged: {note.read_text(encoding='ascii', errors='replace')}"
    try:
        with closing(_opened(path)) as database:
            written = meta.read_number(database, str(path), "format")
    except sqlite3.Error as error:
        return f"{path} does not open: {error}"
    except AlteredError as error:
        return f"{path} is damaged: {error}"
    if written != STORE_FORMAT:
        return (
            f"{path} has format {written}, this program reads {STORE_FORMAT}: run the "
            "program that wrote it"
        )
    return ""


def check_sample_store(path: Path) -> str:
    """The same for the file of the samples."""
    try:
        with closing(_opened(path)) as database:
            (application,) = database.execute("PRAGMA application_id").fetchone()
            (version,) = database.execute("PRAGMA user_version").fetchone()
    except sqlite3.Error as error:
        return f"{path} does not open: {error}"
    if (application, version) == (0, 0) and path.stat().st_size == 0:
        return ""  # the collector fills it when it starts
    if (application, version) != (APPLICATION_ID, SCHEMA_VERSION):
        return (
            f"{path} is no sample store of version {SCHEMA_VERSION} (application "
            f"{application:#x}, version {version}): run the program that wrote it"
        )
    return ""


def _opened(path: Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=PATIENCE_S)
