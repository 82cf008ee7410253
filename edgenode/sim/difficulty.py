"""Simulates the pace of a ward's blocks: who hashes when, by which clock, and what it makes of it.

Nothing is hashed: the time until a miner finds a block is drawn from the exponential distribution
that searching has. Everything else is the ledger's own: targets, work, median time past, the future
bound, the rules for the time of a template. A run is repeated by its seed.

The network is a delay. How a ward behaves on a bad one is `edgenode.sim.ward`'s subject.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial

from edgenode.ledger.difficulty import next_target
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.header import HEADER_VERSION, Header
from edgenode.ledger.headers import (
    Entry,
    Lookup,
    check_clock,
    earliest_time,
    expected_target,
    lineage,
    median_time_past,
)
from edgenode.ledger.rules import Rejected
from edgenode.ledger.target import compress, expand, work

DELAY_SECONDS = 1.0
"""From a block found until the others search on it: 14 ms in a node (bench/new_head.py), and a
second for a network that is busy."""

TEMPLATE_SECONDS = 30.0
"""How long a miner searches one template, whose time then moves on by a second a second
(`edgenode.gossip.work_board`)."""


class Stamp(Enum):
    """Which time a miner gives its blocks."""

    CLOCK = "its clock's, as a template has it"
    AHEAD = "as far ahead as the others' future bound lets it"
    OLD = "as old as the median time past lets it"


class Rest(Enum):
    """From when on miners count the distance that they keep from their head."""

    SEEN = "from when the head came"
    STAMP = "from the head's time"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the ward holds a block to, beside the future bound.

    Attributes:
        target: The compact target of a block's child.
        earliest: The earliest time of a block's child, Unix seconds.
    """

    target: Callable[[Genesis, Entry, Lookup], int]
    earliest: Callable[[Genesis, Entry, Lookup], int]


@dataclass(frozen=True, slots=True)
class Miner:
    """One miner.

    Attributes:
        hash_rate: Hashes per second.
        changes: From these seconds on it hashes at this multiple of its rate; ascending.
        stamp: The time that it gives its blocks.
        offset: Its clock less the true time, seconds.
    """

    hash_rate: float
    changes: tuple[tuple[float, float], ...] = ()
    stamp: Stamp = Stamp.CLOCK
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Made:
    """A block of the final chain.

    Attributes:
        height: Its height.
        at: Seconds since the start when it was found.
        time: Unix seconds that it says.
        expected: Seconds that a block of its target takes on average, rest included, with all that
            hashed when it was found.
        miner: Number of its miner.
    """

    height: int
    at: float
    time: int
    expected: float
    miner: int


@dataclass(slots=True)
class _State:
    """A miner at work: its factor, its head and when that came; `epoch` voids earlier draws."""

    head: Entry
    factor: float = 1.0
    seen: float = 0.0
    epoch: int = 0


class Pace:
    """A ward's miners and a clock that jumps from event to event."""

    def __init__(
        self,
        genesis: Genesis,
        miners: Sequence[Miner],
        seed: int,
        *,
        rules: Rules | None = None,
        min_spacing: float = 0.0,
        rest: Rest = Rest.SEEN,
        delay: float = DELAY_SECONDS,
    ) -> None:
        """Begin at genesis, all miners on.

        Args:
            genesis: The ward's constants.
            miners: Who mines.
            seed: Decides all that is random.
            rules: What blocks are held to; None for the ledger's rules.
            min_spacing: Seconds that each miner rests after its head.
            rest: From when on it rests.
            delay: Seconds that a block takes to the other miners.
        """
        self.now = 0.0
        self.refused = 0
        self._genesis = genesis
        self._miners = miners
        self._min_spacing = min_spacing
        self._rest = rest
        self._rules = rules or LEDGER
        self._delay = delay
        self._rng = random.Random(seed)
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        header = genesis.block.header
        self._best = Entry(header, 0, work(expand(header.target)))
        self._entries = {header.id: self._best}
        self._targets: dict[bytes, tuple[int, int]] = {}
        # By nonce, which counts the blocks: when, by whom, in what time expected.
        self._found: list[tuple[float, int, float]] = []
        self._states = [_State(self._best) for _ in miners]
        for index, miner in enumerate(miners):
            self._search(index)
            for second, factor in miner.changes:
                self._at(second, partial(self._change, index, factor))

    def run(self, seconds: float) -> list[Made]:
        """Let that much time pass; returns the blocks of the heaviest chain, genesis left out."""
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            self.now, _, action = heapq.heappop(self._queue)
            action()
        self.now = end
        return [
            self._made(entry) for entry in lineage(self._best, self._entries.get) if entry.height
        ][::-1]

    @property
    def head(self) -> Entry:
        """The tip of the heaviest chain."""
        return self._best

    @property
    def found(self) -> int:
        """Blocks found, those beside the chain included."""
        return len(self._found)

    def _made(self, entry: Entry) -> Made:
        at, miner, expected = self._found[entry.header.nonce]
        return Made(entry.height, at, entry.header.time, expected, miner)

    def _at(self, time: float, action: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._queue, (time, self._order, action))

    def _clock(self, index: int, at: float | None = None) -> float:
        """A miner's clock, in Unix seconds."""
        return self._genesis.time + (self.now if at is None else at) + self._miners[index].offset

    def _change(self, index: int, factor: float) -> None:
        self._states[index].factor = factor
        self._search(index)

    def _target(self, parent: Entry) -> tuple[int, int]:
        """Compact target and work of a child; computed once for all miners."""
        found = self._targets.get(parent.id)
        if found is None:
            compact = self._rules.target(self._genesis, parent, self._entries.get)
            found = self._targets[parent.id] = compact, work(expand(compact))
        return found

    def _rate(self) -> float:
        return sum(
            miner.hash_rate * state.factor
            for miner, state in zip(self._miners, self._states, strict=True)
        )

    def _rests_until(self, index: int) -> float:
        state = self._states[index]
        if self._min_spacing == 0 or state.head.height == 0:
            return self.now
        if self._rest is Rest.SEEN:
            return state.seen + self._min_spacing
        return state.head.header.time + self._min_spacing - self._clock(index, 0.0)

    def _search(self, index: int) -> None:
        """Draw when a miner finds its next block; what was drawn before is void."""
        state = self._states[index]
        state.epoch += 1
        rate = self._miners[index].hash_rate * state.factor
        if rate <= 0:
            return
        began, epoch = max(self.now, self._rests_until(index)), state.epoch
        _, hashes = self._target(state.head)

        def find() -> None:
            if state.epoch == epoch:
                self._find(index, began)

        self._at(began + self._rng.expovariate(rate / hashes), find)

    def _time(self, index: int, began: float) -> int:
        """The time of a block that a miner finds now, having searched since `began`."""
        earliest = self._rules.earliest(self._genesis, self._states[index].head, self._entries.get)
        match self._miners[index].stamp:
            case Stamp.CLOCK:
                age = (self.now - began) % TEMPLATE_SECONDS
                return max(int(self._clock(index, self.now - age)), earliest) + int(age)
            case Stamp.AHEAD:
                return max(int(self._clock(index)) + self._genesis.future_bound, earliest)
            case Stamp.OLD:
                return earliest

    def _find(self, index: int, began: float) -> None:
        head = self._states[index].head
        compact, hashes = self._target(head)
        header = Header(
            version=HEADER_VERSION,
            previous=head.id,
            merkle_root=bytes(32),
            time=self._time(index, began),
            target=compact,
            nonce=len(self._found),
        )
        self._found.append((self.now, index, self._min_spacing + hashes / self._rate()))
        entry = Entry(header, head.height + 1, head.work + hashes)
        self._entries[entry.id] = entry
        if not self._admits(index, entry):
            self.refused += 1
            self._search(index)
            return
        if entry.work > self._best.work:
            self._best = entry
        self._adopt(index, entry)
        for other in range(len(self._miners)):
            if other != index:
                self._send(other, entry, self._delay)

    def _send(self, index: int, entry: Entry, seconds: float) -> None:
        self._at(self.now + seconds, lambda: self._receive(index, entry))

    def _receive(self, index: int, entry: Entry) -> None:
        if self._admits(index, entry):
            self._adopt(index, entry)
        else:  # held back until the clock has come so far
            lacks = entry.header.time - self._genesis.future_bound - self._clock(index)
            self._send(index, entry, math.ceil(lacks))

    def _admits(self, index: int, entry: Entry) -> bool:
        try:
            check_clock(self._genesis, entry.header, int(self._clock(index)))
        except Rejected:
            return False
        return True

    def _adopt(self, index: int, entry: Entry) -> None:
        state = self._states[index]
        if entry.work > state.head.work:
            state.head, state.seen = entry, self.now
            self._search(index)


def _after_the_median(_genesis: Genesis, parent: Entry, lookup: Lookup) -> int:
    return median_time_past(parent, lookup) + 1


def _eased_in_full(genesis: Genesis, parent: Entry, lookup: Lookup) -> int:
    if parent.height == 0:
        return genesis.target_start
    before = lookup(parent.header.previous)
    assert before is not None, "above genesis there is a parent"
    seconds = parent.header.time - before.header.time
    return compress(
        next_target(
            expand(parent.header.target),
            genesis.limit,
            seconds,
            genesis.spacing,
            genesis.half_life,
        )
    )


MEDIAN_ONLY = Rules(_eased_in_full, _after_the_median)
"""What the ledger had at first: a block is later than the median of the eleven before it, and the
time between two blocks counts in full. docs/difficulty.md shows what became of it."""

LEDGER = Rules(expected_target, earliest_time)
"""What `edgenode.ledger` has."""
