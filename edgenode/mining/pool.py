"""A pool: many sessions, one job, one ledger of shares. No sockets, no clock, no threads.

In go connections, bytes, work and the time in milliseconds; out come bytes for each connection,
connections to end, and blocks to hand in.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from edgenode.ledger.template import Work
from edgenode.mining.host_gate import HostGate, network_of
from edgenode.mining.payee import PayeeBook
from edgenode.mining.share_ledger import ShareLedger
from edgenode.mining.stratum_events import (
    Authorized,
    BlockFound,
    Drop,
    Refusal,
    ShareAccepted,
    ShareRefused,
)
from edgenode.mining.stratum_job import EXTRANONCE1_BYTES, Job
from edgenode.mining.stratum_limits import StratumLimits
from edgenode.mining.stratum_session import Session
from edgenode.mining.token_bucket import TokenBucket

log = logging.getLogger(__name__)

NO_WORK_MS = 60_000
"""How long miners wait for a node that has no work, because it starts or has made its share of the
blocks, before they are sent away: a box then mines for another pool, or for its own node."""

RATE_MS = 300_000
"""The time over which the pool's hash rate is shown: 30 shares of a miner spread by a fifth."""

_BLAMED = {Drop.MALFORMED, Drop.FLOOD, Drop.BAD_SHARES, Drop.SLOW}
"""Ends that are the miner's own fault."""

# Who connects again and again must not push all else out of the log.
_LOG_BURST, _LOG_EVERY_MS = 32, 10_000

_EXTRANONCES = 1 << (8 * EXTRANONCE1_BYTES)


@dataclass(slots=True)
class Output:
    """What a pool wants done.

    Attributes:
        sent: Bytes for connections, by number.
        ended: Connections to end once their bytes are sent, with the reason.
        found: Blocks to hand in, in order.
    """

    sent: dict[int, bytes] = field(default_factory=dict)
    ended: dict[int, Drop] = field(default_factory=dict)
    found: list[BlockFound] = field(default_factory=list)


@dataclass(slots=True)
class PoolCounts:
    """What a pool counted since it began; any thread may read it.

    `connections` and `hash_rate` (hashes per second, of all miners) are those of the last tick.
    """

    accepted: int = 0
    refused: Counter[Refusal] = field(default_factory=Counter)
    dropped: Counter[Drop] = field(default_factory=Counter)
    connections: int = 0
    hash_rate: float = 0.0


@dataclass(slots=True)
class _Miner:
    network: str
    session: Session


class Pool:
    """The pool of one node."""

    def __init__(
        self,
        payees: PayeeBook,
        ledger: ShareLedger,
        limits: StratumLimits,
        *,
        extranonce: int,
        draw: Callable[[int], bytes],
        now: int,
        reserved: frozenset[bytes] = frozenset(),
    ) -> None:
        """Begin without work and connections.

        Args:
            payees: Whom workers' names stand for.
            ledger: Where shares are counted.
            limits: What miners may have.
            extranonce: The first connection's extranonce1, as a number.
            draw: Gives so many random bytes, which no miner can foresee.
            now: Milliseconds of a clock that never goes back; so for all that follow.
            reserved: Beginnings of extranonces that others of this node search.
        """
        self.counts = PoolCounts()
        self._payees = payees
        self._ledger = ledger
        self._limits = limits
        self._next = extranonce % _EXTRANONCES
        self._draw = draw
        self._reserved = reserved
        self._gate = HostGate()
        self._log_bucket = TokenBucket(_LOG_BURST, _LOG_EVERY_MS, now)
        self._miners: dict[int, _Miner] = {}
        self._numbers = 0
        self._job: Job | None = None
        self._without_work_since: int | None = now
        self._recent: deque[tuple[int, int]] = deque()
        self._output = Output()

    def drain(self) -> Output:
        """What is to be done since the last call."""
        output, self._output = self._output, Output()
        return output

    def admit(self, host: str, now: int) -> int | Drop:
        """Take a connection from an address: its number, or why not."""
        limits = self._limits
        if self._is_long_without_work(now):
            return self._count(Drop.NO_WORK)
        network = network_of(host)
        if not self._gate.admit(network, now):
            return self._count(Drop.FLOOD)
        of_host = sum(miner.network == network for miner in self._miners.values())
        if len(self._miners) >= limits.connections or of_host >= limits.per_host:
            return self._count(Drop.FULL)
        session = Session(self._extranonce1(), limits, self._payees.find, self._draw, now)
        session.set_job(self._job, now)
        self._numbers += 1
        self._miners[self._numbers] = _Miner(network, session)
        return self._numbers

    def receive(self, number: int, data: bytes, now: int) -> None:
        """Bytes came in on a connection; those of one that ended are dropped."""
        if (miner := self._miners.get(number)) is not None:
            miner.session.receive(data, now)
            self._collect(number, miner, now)

    def leave(self, number: int, now: int, reason: Drop | None = None) -> None:
        """A connection is gone: by itself, or for what its edge holds against it."""
        miner = self._miners.pop(number, None)
        if miner is not None and reason is not None:
            self._end(miner, reason, now)

    def set_work(self, work_id: str, work: Work, now: int) -> None:
        """Mine this from now on."""
        self._without_work_since = None
        self._give(Job(work_id, work, now), now)

    def drop_work(self, now: int) -> None:
        """There is nothing to mine; if that lasts, miners are sent away."""
        if self._without_work_since is None:
            self._without_work_since = now
        self._take_back(now)

    def rest(self, now: int) -> None:
        """The whole ward leaves a pause after its last block: miners are kept till it is over."""
        self._without_work_since = None
        self._take_back(now)

    def tick(self, now: int) -> None:
        """Time goes by; call it each second or so."""
        if self._is_long_without_work(now):
            for miner in self._miners.values():
                miner.session.dropped = miner.session.dropped or Drop.NO_WORK
        for number, miner in list(self._miners.items()):
            miner.session.tick(now)
            self._collect(number, miner, now)
        self.counts.connections = len(self._miners)
        self.counts.hash_rate = self.hash_rate(now)

    def hash_rate(self, now: int) -> float:
        """Hashes per second of all miners, as their shares show."""
        while self._recent and self._recent[0][0] <= now - RATE_MS:
            self._recent.popleft()
        return sum(hashes for _, hashes in self._recent) * 1000 / RATE_MS

    def _take_back(self, now: int) -> None:
        if self._job is not None:
            self._give(None, now)

    def _give(self, job: Job | None, now: int) -> None:
        self._job = job
        for number, miner in list(self._miners.items()):
            miner.session.set_job(job, now)
            self._collect(number, miner, now)

    def _is_long_without_work(self, now: int) -> bool:
        since = self._without_work_since
        return since is not None and now - since >= NO_WORK_MS

    def _collect(self, number: int, miner: _Miner, now: int) -> None:
        data, events = miner.session.drain()
        if data:
            self._output.sent[number] = self._output.sent.get(number, b"") + data
        for event in events:
            match event:
                case ShareAccepted():
                    self.counts.accepted += 1
                    self._ledger.credit(event.payee, event.hashes)
                    self._remember(event.hashes, now)
                case ShareRefused():
                    self.counts.refused[event.refusal] += 1
                case BlockFound():
                    self._output.found.append(event)
                case Authorized() if self._log_bucket.take(now):
                    log.info(
                        "worker authorised",
                        extra={"worker": event.worker, "pays": event.payee.said},
                    )
        if miner.session.dropped is not None:
            del self._miners[number]
            self._output.ended[number] = self._end(miner, miner.session.dropped, now)

    def _remember(self, hashes: int, now: int) -> None:
        # Shares of one second stand together, so that their number is bounded.
        if self._recent and now - self._recent[-1][0] < 1000:
            since, before = self._recent[-1]
            self._recent[-1] = (since, before + hashes)
        else:
            self.hash_rate(now)
            self._recent.append((now, hashes))

    def _end(self, miner: _Miner, reason: Drop, now: int) -> Drop:
        if reason in _BLAMED:
            self._gate.blame(miner.network, now)
        return self._count(reason)

    def _count(self, reason: Drop) -> Drop:
        self.counts.dropped[reason] += 1
        return reason

    def _extranonce1(self) -> bytes:
        taken = self._reserved | {m.session.extranonce1 for m in self._miners.values()}
        while True:
            extranonce = self._next.to_bytes(EXTRANONCE1_BYTES, "big")
            self._next = (self._next + 1) % _EXTRANONCES
            if extranonce not in taken:
                return extranonce
