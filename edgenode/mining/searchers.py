"""The threads that search: slices of the native kernel, with rests between them."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from edgenode.ledger.template import Work
from edgenode.mining import kernels
from edgenode.mining.pace import RestDebt, SlicePacer
from edgenode.mining.search import COUNTER_BYTES, PREFIX_BYTES, SearchPlan, Slice
from edgenode.native import _kernels

log = logging.getLogger(__name__)

# A thread that was told to stop does so after its slice.
_STOP_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Found:
    """A header that meets its target: the work's name, and what to put into the work."""

    work_id: str
    extranonce: bytes
    nonce: int
    time: int


@dataclass(frozen=True, slots=True)
class _Task:
    work_id: str
    work: Work
    target: bytes
    prefix: bytes
    counter_bytes: int
    since: float


class Searchers:
    """Threads that search the current work; without work they wait and use no time at all."""

    def __init__(
        self,
        threads: int,
        share: float,
        submit: Callable[[Found], bool],
        kernel: str = kernels.PORTABLE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the threads.

        Args:
            threads: How many.
            share: Fraction of each thread's time to spend hashing, above 0, at most 1.
            submit: Called in a thread that found a block. True says that the work is done with,
                False that the search goes on.
            kernel: Name of a native kernel that runs on this machine.
            clock: Tells the seconds since some fixed moment.
        """
        self._share = share
        self._submit = submit
        self._kernel = kernel
        self._clock = clock
        self._prefix = secrets.token_bytes(PREFIX_BYTES)
        self._changed = threading.Condition()
        self._task: _Task | None = None
        self._held = False
        self._stopping = False
        self._failure: Exception | None = None
        # Each thread counts into its own place: no lock, and no count is lost.
        self._hashes = [0] * threads
        self._seconds = [0.0] * threads
        self._threads = [
            threading.Thread(target=self._run, args=(i,), name=f"search-{i}", daemon=True)
            for i in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def hashes(self) -> int:
        """Headers hashed since the start."""
        return sum(self._hashes)

    @property
    def thread_seconds(self) -> float:
        """Processor time that the threads took since the start."""
        return sum(self._seconds)

    def hold(self, held: bool) -> None:
        """Search nothing while held, whatever the work; afterwards go on with it."""
        with self._changed:
            self._held = held
            self._changed.notify_all()

    @property
    def prefix(self) -> bytes:
        """How the extranonces of work begin that comes without a beginning."""
        return self._prefix

    def set_work(
        self,
        work_id: str,
        work: Work,
        *,
        prefix: bytes | None = None,
        counter_bytes: int = COUNTER_BYTES,
        target: int | None = None,
    ) -> None:
        """Search this from now on; the threads turn to it after their slice at the latest.

        Args:
            work_id: Its name, which comes back with what is found.
            work: The work.
            prefix: How each extranonce begins, where a pool says so.
            counter_bytes: So many bytes of it follow, which are to be tried.
            target: Highest hash to look for, where it is not the work's own.
        """
        wanted = work.target_number if target is None else target
        own = self._prefix if prefix is None else prefix
        target_bytes = wanted.to_bytes(32, "little")
        self._set(_Task(work_id, work, target_bytes, own, counter_bytes, self._clock()))

    def drop_work(self) -> None:
        """Search nothing until there is work again."""
        self._set(None)

    def check(self) -> None:
        """Raise what ended a thread, if something did: a miner with half its threads is broken."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End the threads."""
        with self._changed:
            self._stopping = True
            self._task = None
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(_STOP_WITHIN_S)

    def _set(self, task: _Task | None) -> None:
        with self._changed:
            self._task = task
            self._changed.notify_all()

    def _run(self, index: int) -> None:
        try:
            # Both outlive the work: a block that was found, or a new head, takes back no rest.
            pacer, debt = SlicePacer(), RestDebt(self._share, self._clock)
            while (task := self._next_task()) is not None:
                self._search(index, task, pacer, debt)
        except Exception as failure:  # kept for `check`, which raises it
            log.exception("a searching thread ended", extra={"index": index})
            self._failure = failure

    def _next_task(self) -> _Task | None:
        """Wait for work; None to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._task is not None)
            return None if self._stopping else self._task

    def _search(self, index: int, task: _Task, pacer: SlicePacer, debt: RestDebt) -> None:
        plan = SearchPlan(
            task.work, task.prefix, index, len(self._threads), counter_bytes=task.counter_bytes
        )
        while self._task is task:
            if self._held:
                self._wait_while_held(task)
                continue
            if (owed := debt.owed) > 0:
                self._rest(task, owed)
                continue
            began = self._clock()
            piece = plan.take(pacer.count, int(began - task.since))
            nonce = _kernels.search(
                piece.header, task.target, piece.first, piece.count, self._kernel
            )
            took = self._clock() - began
            debt.worked(took)
            if nonce is None:
                self._hashes[index] += piece.count
                pacer.measured(piece.count, took)
            else:
                self._hashes[index] += nonce - piece.first + 1
                self._found(task, piece, nonce)
            self._seconds[index] = time.thread_time()

    def _found(self, task: _Task, piece: Slice, nonce: int) -> None:
        found = Found(task.work_id, piece.extranonce, nonce, piece.time)
        if self._submit(found):
            with self._changed:
                if self._task is task:  # work that came meanwhile stays
                    self._task = None

    def _wait_while_held(self, task: _Task) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._task is not task or not self._held)

    def _rest(self, task: _Task, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._task is not task, seconds)
