"""The sample store: what the collector writes. `samples_reader` is the trainer's side.

A commit is acknowledged when it is on the disk (write-ahead log, synchronous = FULL), so the
collector puts many notifications into one: each costs the disk a flush.

Only the owner may read the file. One process writes (a lock file says which); any number of
processes of the same user read at the same time. docs/sensors.md describes the schema.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import numpy as np

from edgenode.storage.directory import sync_directory
from edgenode.storage.samples_file import (
    APPLICATION_ID,
    READ_ERRORS,
    SCHEMA_VERSION,
    TABLES,
    Kind,
    Record,
    Row,
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StreamStart,
    connect,
    create,
    insert,
    is_damage,
    last_id,
    read_meta,
    translated,
    version_mark,
    write_meta,
)
from edgenode.storage.samples_salvage import (
    finish_interrupted,
    new_store_id,
    salvage,
)
from edgenode.tasks.stream import Annotation, SampleBlock

__all__ = [
    "Record",
    "SampleStore",
    "StoreDamagedError",
    "StoreError",
    "StoreFullError",
    "StreamStart",
]

_log = logging.getLogger(__name__)

# Samples of one stream that follow each other share a row up to here (12 kB, three pages): fewer
# bytes and less work per sample, and a reader's memory stays bounded by its limit of rows.
MAX_ROW_SAMPLES = 1024
# Rows deleted beyond those added, so that retention catches up after a limit was lowered without
# ever making one commit long.
_EXTRA_DELETIONS = 16
# A box without a battery-backed clock starts in the past. What was stored before this (2025-01-01)
# has no known age; nor has what was stored in the future, but for a clock that is a little fast.
_SANE_CLOCK = 1_735_689_600
_FAST_CLOCK_S = 86_400
# A clock that was just set may be set again: records go by their age only while it has kept pace
# with the monotonic one for ten minutes, to a minute (more than it is slewed in that time).
_CLOCK_SETTLES_S = 600
_CLOCK_PACE_S = 60
# The log is cut back to this after a checkpoint; SQLite checkpoints at 1000 pages.
_LOG_BYTES = 4 << 20


class SampleStore:
    """The writer of a sample store. Calls may come from one thread at a time."""

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        lock: int,
        *,
        max_bytes: int,
        max_age_s: float | None,
        wall_clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock
        self._max_bytes = max_bytes
        self._max_age_s = max_age_s
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        self._clock_set = (monotonic(), wall_clock())  # when it last was out of pace, by both
        self._looked_at = 0  # up to which record ages were looked at
        self._too_old = 0  # up to which record all are too old
        self._last = last_id(connection)
        self._next_stream = read_meta(connection, "next_stream")
        self._counters = dict.fromkeys(
            ("commits", "records", "samples", "retired_records", "retired_bytes"), 0
        )

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        max_bytes: int,
        max_age_s: float | None = None,
        wall_clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> Self:
        """Open a store, make it if it is not there, and salvage it if it is damaged.

        Args:
            path: The database file. Its directory is made if missing (mode 0700).
            max_bytes: Bytes in use above which the oldest records go.
            max_age_s: Age in seconds above which records go, or None.
            wall_clock: Seconds since 1970, for the age.
            monotonic: Seconds by a clock that is never set, to tell when the other is.

        Raises:
            StoreFullError: No room to make or to salvage it.
            StoreError: Another process writes it, others may read its directory, it is not a
                sample store, or a newer version wrote it.
        """
        with translated(path):
            _private_directory(path.parent)
            lock = _take_lock(path)
            try:
                connection = _open_sound(path)
                try:
                    _configure(connection)
                    sync_directory(path.parent)
                    return cls(
                        path,
                        connection,
                        lock,
                        max_bytes=max_bytes,
                        max_age_s=max_age_s,
                        wall_clock=wall_clock,
                        monotonic=monotonic,
                    )
                except BaseException:
                    # Nobody else could close the database; the error itself goes on.
                    connection.close()
                    raise
            except BaseException:
                # Nobody else could give the lock back; the error itself goes on.
                os.close(lock)
                raise

    @property
    def next_stream(self) -> int:
        """The number that the next new stream shall have."""
        return self._next_stream

    def append(self, records: Sequence[Record]) -> None:
        """Store records, all or none; when this returns they survive a power cut.

        Raises:
            StoreFullError: No room on the disk. Nothing was stored; try again later.
            StoreDamagedError: The file is corrupt. Nothing was stored; open the store again.
            StoreError: The disk failed otherwise. Nothing was stored; open the store again.
        """
        if not records:
            return
        rows = self._rows(records)
        next_stream = self._next_stream
        for record in records:
            next_stream = max(next_stream, record.stream + 1)
        with translated(self.path):
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                for row in rows:
                    insert(self._connection, row)
                if next_stream != self._next_stream:
                    write_meta(self._connection, "next_stream", next_stream)
                retired, retired_bytes = self._retire(len(rows))
                self._connection.execute("COMMIT")
            except BaseException:
                # Some errors have rolled back already (SQLITE_FULL, SQLITE_IOERR).
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
        self._last = rows[-1].id
        self._next_stream = next_stream
        self._counters["commits"] += 1
        self._counters["records"] += len(rows)
        self._counters["samples"] += sum(
            len(record.values) for record in records if isinstance(record, SampleBlock)
        )
        self._counters["retired_records"] += retired
        self._counters["retired_bytes"] += retired_bytes

    def counters(self) -> dict[str, float]:
        """Totals since this store was opened, and the bytes in use now.

        Raises:
            StoreError: The file cannot be read.
        """
        with translated(self.path):
            used = self._used_bytes()
        return {**{name: float(count) for name, count in self._counters.items()}, "bytes": used}

    def close(self) -> None:
        """Give the file back; a later `append` is an error."""
        try:
            self._connection.close()
        finally:
            os.close(self._lock)

    def _rows(self, records: Sequence[Record]) -> list[Row]:
        """One row per record, but samples that follow each other in a stream share one."""
        at = int(self._wall_clock())
        merged: list[tuple[Record, list[SampleBlock]]] = []
        open_runs: dict[int, list[SampleBlock]] = {}
        for record in records:
            if isinstance(record, SampleBlock):
                run = open_runs.get(record.stream)
                if (
                    run
                    and run[-1].end == record.first
                    and record.end - run[0].first <= MAX_ROW_SAMPLES
                ):
                    run.append(record)
                    continue
                open_runs[record.stream] = run = [record]
                merged.append((record, run))
            else:
                # Nothing of a stream moves past its annotations.
                open_runs.pop(record.stream, None)
                merged.append((record, []))
        return [_row(self._last + 1 + n, at, record, run) for n, (record, run) in enumerate(merged)]

    def _retire(self, added: int) -> tuple[int, int]:
        """Delete oldest records if the store is too large or they are too old, a bounded number.

        Returns:
            How many records went, and how many bytes of data they held.
        """
        most = 2 * added + _EXTRA_DELETIONS
        if self._max_age_s is not None and self._clock_is_settled():
            self._look_at_ages(self._max_age_s, most)
        oldest: list[tuple[int, int]] = self._connection.execute(
            "SELECT id, length(data) FROM records WHERE id <= ? ORDER BY id LIMIT ?",
            (self._last, most),
        ).fetchall()
        if self._used_bytes() <= self._max_bytes:
            oldest = [(identity, size) for identity, size in oldest if identity <= self._too_old]
        if oldest:
            self._connection.execute("DELETE FROM records WHERE id <= ?", (oldest[-1][0],))
        return len(oldest), sum(size for _, size in oldest)

    def _clock_is_settled(self) -> bool:
        """Whether the wall clock has kept pace with the monotonic one for long enough."""
        now, wall = self._monotonic(), self._wall_clock()
        then, wall_then = self._clock_set
        if abs((wall - wall_then) - (now - then)) > _CLOCK_PACE_S:
            self._clock_set = then, _ = now, wall
        return now - then >= _CLOCK_SETTLES_S

    def _look_at_ages(self, max_age_s: float, most: int) -> None:
        """Go on to the first record that is known to be young enough, by `most` records.

        A record that precedes one that is too old is too old as well, whatever the clock said
        when it was stored. So those without a known age are passed over.
        """
        now = self._wall_clock()
        for identity, at in self._connection.execute(
            "SELECT id, at FROM records WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
            (self._looked_at, self._last, most),
        ):
            if _SANE_CLOCK <= at <= now + _FAST_CLOCK_S:
                if at >= now - max_age_s:
                    return
                self._too_old = identity
            self._looked_at = identity

    def _used_bytes(self) -> float:
        size, pages, free = (
            int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_size", "page_count", "freelist_count")
        )
        return float(size * (pages - free))


def _row(identity: int, at: int, record: Record, run: list[SampleBlock]) -> Row:
    match record:
        case SampleBlock():
            data = np.concatenate([block.values for block in run]).astype("<i2").tobytes()
            return Row(identity, record.stream, Kind.SAMPLES, record.first, at, data)
        case Annotation():
            data = bytes([record.code])
            return Row(identity, record.stream, Kind.ANNOTATION, record.first, at, data)
        case StreamStart():
            data = record.sensor.encode("ascii")
            return Row(identity, record.stream, Kind.STREAM_START, 0, at, data)


def _private_directory(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = directory.stat().st_mode & 0o777
    if mode & 0o077:
        raise StoreError(
            f"{directory} is open to others (mode {mode:04o}), but samples are for their owner "
            f"only: give the store a directory of its own, or chmod 0700 {directory}"
        )


def _take_lock(path: Path) -> int:
    """A descriptor that holds the writer's lock until it is closed, also by a crash."""
    lock = path.with_name(path.name + ".lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise StoreError(f"{path} is being written by another process") from error
    return descriptor


def _open_sound(path: Path) -> sqlite3.Connection:
    """A connection to a store that passed its checks, made anew or salvaged if need be."""
    finish_interrupted(path)
    if not path.exists() or path.stat().st_size == 0:
        return create(path, new_store_id())
    try:
        return _open_checked(path)
    except READ_ERRORS as error:
        if not is_damage(error):
            raise
        reason = str(error)
    except StoreDamagedError as error:
        reason = str(error)
    done = salvage(path)
    _log.error(
        "the sample store was damaged; what was legible is carried over",
        extra={
            "file": path,
            "error": reason,
            "records": done.records,
            "unreadable": done.damaged,
            "damaged": done.set_aside,
        },
    )
    return _open_checked(path)


def _open_checked(path: Path) -> sqlite3.Connection:
    connection = connect(path)
    try:
        application, version = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("application_id", "user_version")
        )
        tables = dict(connection.execute("SELECT name, sql FROM sqlite_master").fetchall())
        # A foreign file stays where it is; one without any table is the remains of ours.
        if application != APPLICATION_ID and tables and not TABLES.keys() <= tables.keys():
            raise StoreError(f"{path} is an SQLite file, but not a sample store: name another file")
        if version > SCHEMA_VERSION and read_meta(connection, "schema") == version_mark(version):
            raise StoreError(
                f"{path} was written by a newer version (schema {version}, known: "
                f"{SCHEMA_VERSION}): upgrade, or name another file"
            )
        # Reads the whole file; its size is bounded by the retention.
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise StoreDamagedError(str(verdict).replace("\n", " "))
        if (
            (application, version) != (APPLICATION_ID, SCHEMA_VERSION)
            or tables != TABLES
            or not read_meta(connection, "store")
        ):
            raise StoreDamagedError("its tables are not those of a sample store")
    except BaseException:
        # Nobody else could close the database; the error itself goes on.
        connection.close()
        raise
    return connection


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
    # Makes the log now, so that its name is on the disk before the first sample is acknowledged.
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
