"""Many notifications, one commit: samples wait in memory for a bounded time, never for ever.

A record waits at most `commit_within` seconds for its commit to begin, plus the commit before it
if that one is still running; less, when enough for a commit wait. Commits run on a thread of their
own, so that a slow disk delays no notification. While the disk has no room, records wait in memory
up to a bound; then the newest are dropped and counted, and collecting goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from edgenode.collector.counters import Counters
from edgenode.collector.log_limit import LogLimit
from edgenode.storage.samples import (
    Record,
    SampleStore,
    StoreError,
    StoreFullError,
    StreamStart,
)
from edgenode.tasks.stream import Annotation, SampleBlock

_Result = TypeVar("_Result")

_log = logging.getLogger(__name__)

# Ten minutes of one sensor at 50 Hz in notifications of 10; about 1 MB. Longer outages than that
# need a person, and a box of 1 GB has a trainer to feed.
MAX_WAITING_RECORDS = 3000
# More than this in one commit makes it so long that the next ones wait noticeably. So many do not
# wait for their time: they are committed at once.
MAX_COMMIT_RECORDS = 512
# While the disk refuses, try this often: soon enough after room is made, not a storm of fsyncs.
RETRY_S = 1.0


class GroupCommit:
    """Collects records and commits them in groups. All methods run on the event loop's thread."""

    def __init__(
        self, open_store: Callable[[], SampleStore], commit_within: float, counters: Counters
    ) -> None:
        self._open_store = open_store
        self._commit_within = commit_within
        self._counters = counters
        self._waiting: list[Record] = []
        self._committing = 0  # how many of them, from the front, a running commit holds
        self._arrived = asyncio.Event()
        self._enough = asyncio.Event()  # for a commit before its time
        self._stopping = asyncio.Event()
        self._log_limit = LogLimit()
        self._store: SampleStore | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="commit")

    async def open(self) -> int:
        """Open the store.

        Returns:
            The number that the first new stream shall have.

        Raises:
            StoreError: As `SampleStore.open`.
        """
        self._store = await self._in_thread(self._open_store)
        return self._store.next_stream

    def put(self, record: Record) -> None:
        """Take a record for the next commit; samples are dropped if too many wait already."""
        if len(self._waiting) >= MAX_WAITING_RECORDS:
            if isinstance(record, SampleBlock):
                self._drop(record)
                return
            if isinstance(record, Annotation) and self._replaced(record):
                return
            if isinstance(record, StreamStart):
                self._forget_empty_stream(record.sensor)
        self._waiting.append(record)
        self._arrived.set()
        if len(self._waiting) >= MAX_COMMIT_RECORDS:
            self._enough.set()

    def stop(self) -> None:
        """Have `run` commit what waits and return."""
        self._stopping.set()
        self._arrived.set()
        self._enough.set()

    async def run(self) -> None:
        """Commit what is put, until `stop`; then commit the rest and close the store."""
        try:
            while not self._stopping.is_set():
                await self._arrived.wait()
                await self._pause(self._enough, self._commit_within)
                while not (await self._commit_waiting() or self._stopping.is_set()):
                    await self._pause(self._stopping, RETRY_S)
            await self._commit_waiting()
            self._report_left()
        finally:
            if self._store is not None:
                await self._in_thread(self._store.close)
            self._thread.shutdown()

    def _drop(self, block: SampleBlock) -> None:
        self._counters.dropped_samples += len(block.values)
        held_back = self._log_limit.admit("dropped", time.monotonic())
        if held_back is not None:
            _log.error(
                "dropping samples: too many wait for the disk",
                extra={
                    "dropped": self._counters.dropped_samples,
                    "waiting_records": len(self._waiting),
                    "held_back": held_back,
                },
            )

    def _replaced(self, annotation: Annotation) -> bool:
        """While samples are dropped, only the newest annotation of a stream needs to wait."""
        for n in range(len(self._waiting) - 1, -1, -1):
            if self._waiting[n].stream == annotation.stream:
                if isinstance(self._waiting[n], Annotation) and n >= self._committing:
                    self._waiting[n] = annotation
                    return True
                return False
        return False

    def _forget_empty_stream(self, sensor: str) -> None:
        """While samples are dropped, a stream of this sensor that began meanwhile has none.

        So at most one start and one annotation of each sensor wait beyond the bound.
        """
        beyond = max(MAX_WAITING_RECORDS, self._committing)
        for record in self._waiting[beyond:]:
            if isinstance(record, StreamStart) and record.sensor == sensor:
                self._waiting[beyond:] = [
                    other for other in self._waiting[beyond:] if other.stream != record.stream
                ]

    async def _pause(self, event: asyncio.Event, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()

    def _report_left(self) -> None:
        if not self._waiting:
            return
        left = sum(len(r.values) for r in self._waiting if isinstance(r, SampleBlock))
        self._counters.dropped_samples += left
        _log.error("stopping with samples that the disk did not take", extra={"samples": left})

    async def _commit_waiting(self) -> bool:
        """Commit all that waits now; whether the disk took it."""
        left = len(self._waiting)
        while left > 0:
            if not await self._commit():
                return False
            left -= MAX_COMMIT_RECORDS
        return True

    async def _commit(self) -> bool:
        """Commit the oldest waiting records; whether the disk took them."""
        group = self._waiting[:MAX_COMMIT_RECORDS]
        self._committing = len(group)
        try:
            if self._store is None:
                self._store = await self._in_thread(self._open_store)
            store = self._store
            await self._in_thread(lambda: store.append(group))
        except StoreError as error:
            self._failed(error)
            if not isinstance(error, StoreFullError):
                # The next commit opens it again, which salvages damage.
                await self._give_up_store()
            return False
        finally:
            self._committing = 0
        del self._waiting[: len(group)]
        if not self._stopping.is_set():
            if not self._waiting:
                self._arrived.clear()
            if len(self._waiting) < MAX_COMMIT_RECORDS:
                self._enough.clear()
        self._counters.stored_samples += sum(
            len(record.values) for record in group if isinstance(record, SampleBlock)
        )
        return True

    async def _give_up_store(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            await self._in_thread(store.close)

    def _failed(self, error: StoreError) -> None:
        self._counters.store_errors += 1
        held_back = self._log_limit.admit("store", time.monotonic())
        if held_back is not None:
            _log.error(
                "samples wait in memory",
                extra={
                    "waiting_records": len(self._waiting),
                    "dropped": self._counters.dropped_samples,
                    "error": error,
                    "held_back": held_back,
                },
            )

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
