"""Hands found blocks in to the node, patiently, and counts what became of them.

That can take minutes, so it is done by a thread of its own (`HandInQueue`): whoever finds blocks
has better things to do than to wait for a node that restarts, or whose disk is full.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from edgenode.api.client import ApiError, NodeClient, NodeUnavailableError
from edgenode.api.shapes import Solution

log = logging.getLogger("edgenode.miner")

# The gossip service is back within a second after a crash, and after minutes when it replays a
# long chain.
SHORTEST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0

_WAITING_BLOCKS = 16
"""Blocks that wait for the node: of one head only the first counts."""

_STOP_WITHIN_S = 5.0


class Outcome(StrEnum):
    """What became of a block."""

    ACCEPTED = "accepted"
    STALE = "stale"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    """The service ended before the node answered."""


class HandIn:
    """One node's door for blocks; any thread may use it."""

    def __init__(self, client: NodeClient, on_state: Callable[[str], None]) -> None:
        """Prepare; `on_state` hears "ok", or what is wrong in a few words."""
        self._client = client
        self._on_state = on_state
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._counts: Counter[Outcome] = Counter()

    def count(self, outcome: Outcome) -> int:
        """How many blocks came to that."""
        return self._counts[outcome]

    def stop(self) -> None:
        """Try no more."""
        self._stopped.set()

    def submit(self, work_id: str, solution: Solution) -> Outcome:
        """Hand in a block; waits while the node cannot take it."""
        pause = SHORTEST_PAUSE_S
        while not self._stopped.is_set():
            try:
                block = self._client.submit_solution(work_id, solution)
            except NodeUnavailableError as error:
                reason: Exception = error
            except ApiError as error:
                if error.status in {404, 409}:
                    log.info("block too late", extra={"error": error})
                    return self._came_to(Outcome.STALE)
                if error.status < 500:
                    self._on_state(f"a block was refused: {error}")
                    log.warning("block refused", extra={"error": error})
                    return self._came_to(Outcome.REFUSED)
                reason = error
            else:
                self._on_state("ok")
                log.info("block found", extra={"height": block.height, "block": block.id})
                return self._came_to(Outcome.ACCEPTED)
            # The node is restarting or its disk is full: a block is worth another attempt.
            self._on_state(f"a block could not be handed in yet: {reason}")
            log.warning("block not handed in yet", extra={"error": reason})
            self._stopped.wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)
        return Outcome.UNKNOWN

    def _came_to(self, outcome: Outcome) -> Outcome:
        with self._lock:
            self._counts[outcome] += 1
        return outcome


@dataclass(frozen=True, slots=True)
class _Block:
    work_id: str
    solution: Solution
    then: Callable[[Outcome], None]


class HandInQueue:
    """Blocks on their way to the node, handed in one after another by a thread of its own."""

    def __init__(self, hand_in: HandIn, name: str) -> None:
        """Begin with none.

        Args:
            hand_in: The node's door; its `stop` ends what the thread waits for.
            name: Name of the thread.
        """
        self._hand_in = hand_in
        self._blocks: queue.Queue[_Block | None] = queue.Queue(_WAITING_BLOCKS)
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, work_id: str, solution: Solution, then: Callable[[Outcome], None]) -> None:
        """Hand in a block, from any thread and without waiting.

        `then` hears in the queue's thread what became of it. When too many wait already, the block
        is left out and the log says so.
        """
        try:
            self._blocks.put_nowait(_Block(work_id, solution, then))
        except queue.Full:
            log.warning("block left out", extra={"reason": "others wait for the node"})

    def check(self) -> None:
        """Raise what ended the thread, if something did."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End the thread; `HandIn.stop` comes first."""
        try:
            self._blocks.put(None, timeout=_STOP_WITHIN_S)
        except queue.Full:  # the thread has ended before, or waits for a node that hangs
            return
        self._thread.join(_STOP_WITHIN_S)

    def _run(self) -> None:
        try:
            while (block := self._blocks.get()) is not None:
                block.then(self._hand_in.submit(block.work_id, block.solution))
        except Exception as failure:  # kept for `check`, which raises it
            log.exception("blocks are handed in no more")
            self._failure = failure
