"""The miner: fetches work from the local API, searches it, hands in what it finds."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import NoReturn

from edgenode.api.client import ApiError, NodeClient, NodeUnavailableError
from edgenode.api.shapes import Solution
from edgenode.mining.pace import RateMeter
from edgenode.mining.searchers import Found, Searchers
from edgenode.mining.settings import MinerSettings
from edgenode.services import notify
from edgenode.services.config import start
from edgenode.services.reporter import Heartbeat, Reporter

log = logging.getLogger("edgenode.miner")

# systemd's watchdog hears from the loop each time that it comes round; a request every five
# seconds costs nothing.
POLL_SECONDS = 5.0
HANGS_AFTER_SECONDS = 30.0
"""A miner that has not come round for so long hangs: a request for work takes up to 15 s."""

LOWEST_PRIORITY = 19
"""Mining takes what sensing and training leave, whoever starts it."""

# The gossip service is back within a second after a crash, and after minutes when it replays a
# long chain.
_SHORTEST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0


@dataclass(slots=True)
class Counts:
    """What became of the blocks found."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    accepted: int = 0
    stale: int = 0
    refused: int = 0


class Miner:
    """One miner at one node."""

    def __init__(self, client: NodeClient, settings: MinerSettings) -> None:
        """Start the searching threads; they have no work yet."""
        self._client = client
        self._counts = Counts()
        self._state = "starting"
        self._stopped = threading.Event()
        self._work_id: str | None = None
        self._searchers = Searchers(settings.threads, settings.share, self._submit)
        self._meter = RateMeter()
        self._heartbeat = Heartbeat(HANGS_AFTER_SECONDS)
        self._reporter = Reporter("miner", client, self._report, self._heartbeat)

    def run(self) -> NoReturn:
        """Keep the searchers supplied with the newest work, until an exception ends it."""
        pause = _SHORTEST_PAUSE_S
        with self._reporter:
            while True:
                self._searchers.check()
                self._heartbeat.beat()
                try:
                    self._fetch()
                except (NodeUnavailableError, ApiError) as error:
                    self._pause_search(str(error))
                    self._stopped.wait(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE_S)
                else:
                    pause = _SHORTEST_PAUSE_S

    def stop(self) -> None:
        """End the threads."""
        self._stopped.set()
        self._searchers.stop()

    def _fetch(self) -> None:
        began = time.monotonic()
        message = self._client.work(unlike=self._work_id or "none", wait=POLL_SECONDS)
        if message is None:
            self._pause_search("the node has no work yet")
            self._stopped.wait(POLL_SECONDS)
        elif message.id != self._work_id:
            self._searchers.set_work(message.id, message.work)
            self._go(message.id, "ok")
            return
        # The node answers at once only when it has news. Should it not keep to that, wait here.
        self._stopped.wait(max(0.0, _SHORTEST_PAUSE_S - (time.monotonic() - began)))

    def _pause_search(self, reason: str) -> None:
        # What is found now could not be handed in.
        self._searchers.drop_work()
        self._go(None, reason)

    def _go(self, work_id: str | None, state: str) -> None:
        if state != self._state:
            if state == "ok":
                log.info("searching", extra={"work": work_id})
            else:
                log.info("not searching", extra={"reason": state})
        self._work_id, self._state = work_id, state

    def _submit(self, found: Found) -> bool:
        """Hand in what a thread found; whether its work is done with."""
        solution = Solution(found.extranonce, found.nonce, found.time)
        pause = _SHORTEST_PAUSE_S
        while not self._stopped.is_set():
            try:
                block = self._client.submit_solution(found.work_id, solution)
            except NodeUnavailableError as error:
                reason: Exception = error
            except ApiError as error:
                if error.status in {404, 409}:
                    self._count("stale")
                    log.info("block too late", extra={"error": error})
                    return True
                if error.status < 500:
                    self._count("refused")
                    self._state = f"a block was refused: {error}"
                    log.warning("block refused", extra={"error": error})
                    self._stopped.wait(_LONGEST_PAUSE_S)  # the next one would be, too
                    return False
                reason = error
            else:
                self._count("accepted")
                self._state = "ok"
                log.info("block found", extra={"height": block.height, "block": block.id})
                return True
            # The node is restarting or its disk is full: a block is worth another attempt.
            self._state = f"a block could not be handed in yet: {reason}"
            log.warning("block not handed in yet", extra={"error": reason})
            self._stopped.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        return True

    def _count(self, what: str) -> None:
        with self._counts.lock:
            setattr(self._counts, what, getattr(self._counts, what) + 1)

    def _report(self) -> tuple[str, Mapping[str, float]]:
        hashes = self._searchers.hashes
        return self._state, {
            "hashes_total": hashes,
            "hash_rate": self._meter.rate(time.monotonic(), hashes),
            "blocks_found_total": self._counts.accepted,
            "stale_total": self._counts.stale,
            "refused_total": self._counts.refused,
        }


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the miner until SIGTERM or SIGINT.

    Raises:
        SystemExit: Always in the end; status 0 when it was told to stop.
    """
    settings = start("miner", argv)
    if os.getpriority(os.PRIO_PROCESS, 0) < LOWEST_PRIORITY:  # a box's unit has set it already
        os.nice(LOWEST_PRIORITY)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    miner = Miner(NodeClient(settings.api), settings.miner)
    notify.ready()
    try:
        miner.run()
    finally:
        notify.stopping()
        miner.stop()


if __name__ == "__main__":
    main()
