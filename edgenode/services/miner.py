"""The miner: fetches work from the local API, searches it, hands in what it finds.

Where the configuration says so, it lets others mine for this node (`stratum`), or mines for
another node's pool (`pool`) and for its own when no pool answers.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from edgenode.api.client import ApiError, NodeClient, NodeUnavailableError
from edgenode.api.shapes import Solution, WorkMessage
from edgenode.mining import energy, kernels
from edgenode.mining.pace import RateMeter
from edgenode.mining.payee import PayeeBook
from edgenode.mining.pool_link import PoolLink, PoolWork
from edgenode.mining.searchers import Found, Searchers
from edgenode.mining.settings import MinerSettings
from edgenode.mining.stratum_job import EXTRANONCE1_BYTES
from edgenode.mining.thermal_zones import THERMAL
from edgenode.services import notify
from edgenode.services.config import start
from edgenode.services.cooling import Cooling
from edgenode.services.ending import EXIT_BAD_FILE, give_up
from edgenode.services.hand_in import (
    LONGEST_PAUSE_S,
    SHORTEST_PAUSE_S,
    HandIn,
    HandInQueue,
    Outcome,
)
from edgenode.services.hosted_pool import HostedPool
from edgenode.services.reporter import Heartbeat, Reporter

log = logging.getLogger("edgenode.miner")

# systemd's watchdog hears from the loop each time that it comes round; a request every five
# seconds costs nothing.
POLL_SECONDS = 5.0
HANGS_AFTER_SECONDS = 30.0
"""A miner that has not come round for so long hangs: a request for work takes up to 15 s."""

LOWEST_PRIORITY = 19
"""Mining takes what sensing and training leave, whoever starts it."""

_LOOK_SECONDS = 1.0
"""How often a box that mines for a pool looks whether it still has one."""

_TRY_AGAIN_SECONDS = 5.0
"""Pause before an address that could not be listened on is tried again."""


class Miner:
    """One miner at one node."""

    def __init__(self, client: NodeClient, settings: MinerSettings, zones: Path = THERMAL) -> None:
        """Choose the kernel and start the searching threads; they have no work yet.

        Args:
            client: The node.
            settings: What the configuration says.
            zones: The kernel's directory of thermal zones.

        Raises:
            KernelError: This machine cannot run the kernel that the settings name.
        """
        kernel = kernels.choose(settings.kernel)
        log.info("hash kernel chosen", extra={"kernel": kernel, "configured": settings.kernel})
        self._client = client
        self._settings = settings
        self._state = "starting"
        self._trouble: str | None = None
        self._try_at = 0.0
        self._stopped = threading.Event()
        self._own: WorkMessage | None = None
        self._pool_work: PoolWork | None = None
        # What is searched changes by this service's loop, by the link's thread, and by what becomes
        # of a block.
        self._turning = threading.Lock()
        self._hashes_seen = 0
        self._own_hashes = 0
        self._hand_in = HandIn(client, self._set_state)
        self._blocks = HandInQueue(self._hand_in, "own-blocks")
        self._searchers = Searchers(settings.threads, settings.share, self._submit, kernel)
        self._hosted: HostedPool | None = None
        self._link: PoolLink | None = None
        self._cooling = Cooling(settings.ceiling_celsius, self._searchers.hold, zones)
        self._meter = RateMeter()
        self._heartbeat = Heartbeat(HANGS_AFTER_SECONDS)
        self._reporter = Reporter("miner", client, self._report, self._heartbeat)

    def run(self) -> NoReturn:
        """Keep the searchers supplied with the newest work, until an exception ends it."""
        pause = SHORTEST_PAUSE_S
        with self._reporter:
            while True:
                self._check()
                self._heartbeat.beat()
                self._cooling.look(time.monotonic())
                try:
                    self._open()
                    self._turn()
                except (NodeUnavailableError, ApiError) as error:
                    self._pause_search(str(error))
                    self._stopped.wait(pause)
                    pause = min(2 * pause, LONGEST_PAUSE_S)
                else:
                    pause = SHORTEST_PAUSE_S

    def stop(self) -> None:
        """End the threads."""
        self._stopped.set()
        self._hand_in.stop()
        if self._link is not None:
            self._link.stop()
        self._searchers.stop()
        self._blocks.stop()
        if self._hosted is not None:
            self._hosted.stop()

    def _check(self) -> None:
        """Raise what ended a thread: a miner of which a part is gone is broken."""
        self._searchers.check()
        self._blocks.check()
        if self._hosted is not None:
            self._hosted.check()
        if self._link is not None:
            self._link.check()

    def _open(self) -> None:
        """Serve and join pools where the configuration says so, once the node says who it is."""
        settings, now = self._settings, time.monotonic()
        serves = settings.stratum is not None and self._hosted is None and now >= self._try_at
        joins = bool(settings.pool) and self._link is None
        if not (serves or joins):
            return
        status = self._client.status()
        if joins:
            self._link = PoolLink(settings.pool, status.member, self._on_pool_work)
        if serves:
            payees = PayeeBook(bytes.fromhex(status.member), self._members())
            reserved = frozenset({self._searchers.prefix[:EXTRANONCE1_BYTES]})
            try:
                self._hosted = HostedPool(settings, self._hand_in, payees, status.genesis, reserved)
            except OSError as error:  # an address that the network has not given yet, perhaps
                if self._trouble is None:
                    log.warning("cannot serve Stratum", extra={"reason": error})
                self._trouble = f"cannot serve Stratum: {error.strerror}"
                self._try_at = now + _TRY_AGAIN_SECONDS
            else:
                self._trouble = None
                self._take_own_hashes()  # those of the time before it served are no round's
                with self._turning:
                    self._own = None  # its miners want the work, too

    def _members(self) -> dict[str, bytes]:
        """The members' keys by name."""
        members = self._client.members().members
        return {member.name: bytes.fromhex(member.key) for member in members if not member.until}

    def _turn(self) -> None:
        """One turn of the loop: newer work, if there is any."""
        if self._hosted is None and self._link is not None and self._link.pool is not None:
            # Nobody here wants the node's own work; making it costs the node something.
            self._set_own(None)
            self._go("ok", "a pool's")
            self._stopped.wait(_LOOK_SECONDS)
            return
        began = time.monotonic()
        message = self._fetch(POLL_SECONDS)
        if message is not None and self._is_news(message) and self._hosted is not None:
            # The round's split is known now, and stands from its first job on.
            while message is not None and self._hosted.on_work(
                message.work.previous, self._take_own_hashes()
            ):
                message = self._fetch()
        if message is None:
            self._pause_search(
                "the node has no work yet, or leaves the next block to others",
                is_ward_resting=self._hosted is not None and self._is_ward_resting(),
            )
        elif self._is_news(message):
            self._set_own(message)
            if self._hosted is not None and self._hosted.offer(message):
                self._hosted.know(self._members())
            self._go("ok", message.id)
            return
        # The node answers at once when it has news, or has no work for a while.
        pause = SHORTEST_PAUSE_S if message is not None else LONGEST_PAUSE_S
        self._stopped.wait(max(0.0, pause - (time.monotonic() - began)))

    def _is_news(self, message: WorkMessage) -> bool:
        return self._own is None or message.id != self._own.id

    def _is_ward_resting(self) -> bool:
        """Whether the node has no work because nobody in the ward should have any.

        Other reasons are its own: its clock, or that it has made its share of the blocks.
        """
        return self._client.clock().trusted and not self._client.ward().resting

    def _fetch(self, wait: float = 0) -> WorkMessage | None:
        unlike = "none" if self._own is None else self._own.id
        pay = () if self._hosted is None else self._hosted.pay
        try:
            return self._client.work(unlike=unlike, wait=wait, pay=pay)
        except ApiError as error:
            if self._hosted is None or error.status >= 500 or not self._hosted.pay_refused():
                raise
            log.warning("the split of the reward was refused", extra={"error": error})
            return self._client.work(unlike=unlike, wait=0)

    def _pause_search(self, reason: str, *, is_ward_resting: bool = False) -> None:
        # What is found now could not be handed in.
        self._set_own(None)
        if self._hosted is not None:
            if is_ward_resting:
                self._hosted.rest()
            else:
                self._hosted.no_work()
        if self._link is not None and self._link.pool is not None:
            self._go("ok", "a pool's")
        else:
            self._go(reason, None)

    def _set_own(self, message: WorkMessage | None) -> None:
        with self._turning:
            self._own = message
            if self._pool_work is None:
                self._search(None)

    def _on_pool_work(self, work: PoolWork | None) -> None:
        with self._turning:
            if work is not None or self._pool_work is not None:  # else it would begin anew
                self._search(work)

    def _search(self, pools: PoolWork | None) -> None:
        """Turn to a pool's work, else to the node's own; what was hashed so far is counted."""
        self._count_own_hashes()
        self._pool_work, own = pools, self._own
        if pools is not None:
            self._searchers.set_work(
                pools.id,
                pools.work,
                prefix=pools.prefix,
                counter_bytes=pools.counter_bytes,
                target=pools.target,
            )
        elif own is not None:
            self._searchers.set_work(own.id, own.work)
        else:
            self._searchers.drop_work()

    def _count_own_hashes(self) -> None:
        hashes = self._searchers.hashes
        if self._pool_work is None:
            self._own_hashes += hashes - self._hashes_seen
        self._hashes_seen = hashes

    def _take_own_hashes(self) -> int:
        """Hashes done on the node's own work since the last call."""
        with self._turning:
            self._count_own_hashes()
            taken, self._own_hashes = self._own_hashes, 0
            return taken

    def _go(self, state: str, work: str | None) -> None:
        if state != self._state:
            if state == "ok":
                log.info("searching", extra={"work": work})
            else:
                log.info("not searching", extra={"reason": state})
        self._state = state

    def _set_state(self, state: str) -> None:
        self._state = state

    def _submit(self, found: Found) -> bool:
        """Send on what a thread found; whether its work is done with."""
        if ":" in found.work_id:  # a pool's, as the link names it
            return self._link is not None and self._link.submit(found)

        def then(outcome: Outcome) -> None:
            if outcome is Outcome.REFUSED:
                self._stopped.wait(LONGEST_PAUSE_S)  # the next one would be, too
                self._go_on(found.work_id)

        solution = Solution(found.extranonce, found.nonce, found.time)
        self._blocks.put(found.work_id, solution, then)
        return True

    def _go_on(self, work_id: str) -> None:
        """Search the node's work again, if it still is the newest."""
        with self._turning:
            if self._own is not None and self._own.id == work_id and self._pool_work is None:
                self._search(None)

    def _report(self) -> tuple[str, Mapping[str, float]]:
        hashes = self._searchers.hashes
        accepted = self._hand_in.count(Outcome.ACCEPTED)
        own_blocks = accepted if self._hosted is None else accepted - self._hosted.blocks
        values: dict[str, float] = {
            "hashes_total": hashes,
            "hash_rate": self._meter.rate(time.monotonic(), hashes),
            "blocks_found_total": accepted,
            "stale_total": self._hand_in.count(Outcome.STALE),
            "refused_total": self._hand_in.count(Outcome.REFUSED),
            **self._cooling.values(),
            **energy.spent(self._settings.watts, self._searchers.thread_seconds, own_blocks),
        }
        if self._hosted is not None:
            values |= self._hosted.values()
        if self._link is not None:
            values |= {
                "pool_connected": 0 if self._link.pool is None else 1,
                "pool_switches_total": self._link.counts.switches,
                "pool_shares_total": self._link.counts.accepted,
                "pool_refused_total": self._link.counts.refused,
            }
        state = self._cooling.state if self._state == "ok" else self._state
        return self._trouble or "ok" if state == "ok" else state, values


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the miner until SIGTERM or SIGINT.

    Raises:
        SystemExit: Always in the end; status 0 when it was told to stop, 5 when the configuration
            must be mended first.
    """
    settings = start("miner", argv)
    if os.getpriority(os.PRIO_PROCESS, 0) < LOWEST_PRIORITY:  # a box's unit has set it already
        os.nice(LOWEST_PRIORITY)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    client = NodeClient(settings.api)
    try:
        miner = Miner(client, settings.miner)
    except kernels.KernelError as error:
        give_up("miner", f"{settings.path}: [miner] kernel: {error}", EXIT_BAD_FILE)
    notify.ready()
    try:
        miner.run()
    finally:
        notify.stopping()
        miner.stop()


if __name__ == "__main__":
    main()
