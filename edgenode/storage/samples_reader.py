"""The reader of a sample store: what the trainer, in its own process, reads in order."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from edgenode.storage.samples_file import (
    APPLICATION_ID,
    SCHEMA_VERSION,
    StoreError,
    connect,
    last_id,
    read_meta,
    read_rows,
    translated,
)
from edgenode.tasks.stream import Annotation, SampleBlock

_CURSOR = re.compile(r"([0-9]{1,19})\.([0-9]{1,19})")


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a reader has read. `str` and `parse` carry it over a restart.

    Attributes:
        store: Which store it belongs to; 0 for none yet. Another store is read from its beginning.
        record: Everything up to this record was read.
    """

    store: int = 0
    record: int = 0

    def __str__(self) -> str:
        return f"{self.store}.{self.record}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote.

        Raises:
            ValueError: It is no cursor.
        """
        match = _CURSOR.fullmatch(text)
        if not match:
            raise ValueError(f"{text!r} is no cursor of a sample store")
        return cls(int(match[1]), int(match[2]))


BEGINNING = Cursor()


class SampleReader:
    """Reads a sample store while the collector writes it. Never writes a record.

    It needs write access to the directory, though: readers of a write-ahead log coordinate with
    the writer in a shared memory file beside the database.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._store = 0
        self._cursor = BEGINNING
        self._counters = dict.fromkeys(
            ("records", "samples", "annotations", "passed_over", "damaged"), 0
        )

    def read_after(
        self, cursor: Cursor, limit: int
    ) -> tuple[list[SampleBlock | Annotation], Cursor]:
        """Read what was stored after `cursor`, in the order in which it was received.

        Args:
            cursor: `BEGINNING`, or what the last call returned.
            limit: Most records to return, at least 1; a record holds up to 1024 samples.

        Returns:
            The records, and the cursor after them. An empty list with an unchanged cursor says
            that there is nothing new, or that there is no store yet. Damaged records are stepped
            over and counted.

        Raises:
            StoreDamagedError: Nothing can be read until the collector has salvaged the file.
            StoreError: The file cannot be opened, or is not a sample store of this version.
        """
        if limit < 1:
            raise ValueError(f"a limit of {limit} records is below 1")
        with translated(self.path):
            connection = self._current()
            if connection is None:
                return [], cursor
            if cursor.store != self._store:
                cursor = Cursor(self._store)
            records: list[SampleBlock | Annotation] = []
            while len(records) < limit:
                page = read_rows(connection, cursor.record, limit - len(records))
                if page.last == cursor.record:
                    break
                for row in page.rows:
                    record = row.decode()
                    if isinstance(record, SampleBlock | Annotation):
                        records.append(record)
                self._count(cursor.record, page.last, len(page.rows), page.damaged)
                cursor = Cursor(self._store, page.last)
        for record in records:
            if isinstance(record, SampleBlock):
                self._counters["samples"] += len(record.values)
            else:
                self._counters["annotations"] += 1
        self._cursor = cursor
        return records, cursor

    def counters(self) -> dict[str, float]:
        """Totals of this reader.

        `passed_over` are records that retention had deleted before they were read; `behind` are
        records stored but not read yet.

        Raises:
            StoreError: As `read_after`.
        """
        behind = 0
        with translated(self.path):
            connection = self._current()
            if connection is not None and self._cursor.store in {0, self._store}:
                behind = last_id(connection) - self._cursor.record
        return {**{name: float(n) for name, n in self._counters.items()}, "behind": float(behind)}

    @property
    def damaged(self) -> int:
        """Records stepped over because they are damaged, as in `counters`; from any thread."""
        return self._counters["damaged"]

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _count(self, after: int, last: int, rows: int, damaged: int) -> None:
        self._counters["records"] += rows
        self._counters["damaged"] += damaged
        passed = last - after - rows - damaged
        # A salvage steps the numbers forward by more than a store can hold: nothing was there.
        if 0 < passed < 1 << 31 and after and not damaged:
            self._counters["passed_over"] += passed

    def _current(self) -> sqlite3.Connection | None:
        """A connection to the file that has the name now, or None while there is none.

        The collector replaces a damaged file; the old one must not be read on for ever.
        """
        try:
            inode = self.path.stat().st_ino
        except FileNotFoundError:
            self.close()
            return None
        if self._connection is not None and inode == self._inode:
            return self._connection
        self.close()
        connection = connect(self.path, read_only=True)
        try:
            self._store = _checked_store(self.path, connection)
        except BaseException:
            # Nobody else could close the database; the error itself goes on.
            connection.close()
            raise
        if not self._store:
            connection.close()
            return None
        self._connection, self._inode = connection, inode
        return connection


def _checked_store(path: Path, connection: sqlite3.Connection) -> int:
    """The store's identity; 0 while the collector is still making it."""
    application, version = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("application_id", "user_version")
    )
    if not application and not version:
        return 0
    if application != APPLICATION_ID or version != SCHEMA_VERSION:
        raise StoreError(
            f"{path} is not a sample store of schema {SCHEMA_VERSION} "
            f"(application {application:#x}, schema {version})"
        )
    return read_meta(connection, "store")
