"""The window of chunks under way from a peer: full use of the path, little queue, no fear of loss.

Its size follows what the path brings (after BBR, Cardwell et al., 2016): the most chunks a second
that came of late, times the shortest round trip, and some more. So random loss does not shrink it,
and it does not grow beyond what comes. Every sixteenth epoch goes with half of it: what is lost
then the path loses by itself, and is asked for in addition. It yields to other traffic: when chunks
wait longer than `TARGET` in queues it shrinks, before TCP on the same path loses anything (after
LEDBAT, RFC 6817).
"""

from collections import deque
from enum import Enum

FIRST_WINDOW = 8.0
LONGEST_WINDOW = 512.0
"""Chunks under way from one peer: half a second of 10 Mbit/s."""

SHORTEST_WINDOW = 4.0
"""Chunks. Fewer leave nothing behind a lost one that would give the loss away."""

MARGIN = 8.0
"""Chunks beyond what is on the path: a request for some more is on its way, or about to be sent."""

CRUISE_GAIN = 1.25
GROWTH_GAIN = 2.0
"""How much more than what came is asked for: as a rule, and while more comes than ever before."""

GROWTH = 1.1
"""How much more than before has to come so that it grows on."""

TARGET = 0.05
"""Seconds that chunks may wait in queues: half of what RFC 6817 allows, so that a call on the same
Wi-Fi is not disturbed."""

LEAST_SHARE = 0.05
RECOVERY = 1 / 8
"""What is left of the window beside traffic that does not yield, what comes back in an epoch."""

SHORTEST_EPOCH = 0.01
"""Seconds: below it the scheduler of a busy box decides what a round trip is."""

OUTCOMES = 16
"""Chunks that came or were lost before an epoch is over."""

CYCLE = 16
"""Epochs of which one is a drain, and whose best rate counts."""

FIRST_DRAIN = 3
"""The epoch of each cycle after which it is drained: early, all loss is the path's until then."""

SLACK = 0.02
"""Seconds that a busy box may take to answer, beyond the shortest round trip: nothing waits in the
network meanwhile."""

PATH_LOSS_LIMIT = 0.75
"""Loss that is made up for: 40 % each way make 64 %."""


class _Drain(Enum):
    """Whether an epoch goes with half of the window; the first of two has what was asked before."""

    NONE = 0
    SETTLING = 1
    MEASURED = 2


class Window:
    """How many chunks may be under way from a peer."""

    __slots__ = (
        "_came",
        "_drain",
        "_epoch_began",
        "_epochs",
        "_full",
        "_least",
        "_losses",
        "_lost",
        "_queueing",
        "_rates",
        "_round_trip",
        "_share",
        "_shortest",
        "size",
    )

    def __init__(self) -> None:
        self.size = FIRST_WINDOW
        self._rates: deque[float] = deque(maxlen=CYCLE)
        self._shortest: deque[float] = deque(maxlen=4 * CYCLE)
        self._losses: deque[float] = deque(maxlen=2)
        self._round_trip: float | None = None
        self._share = 1.0
        self._epochs = 0
        self._drain = _Drain.NONE
        self.resume(0.0)

    def resume(self, now: float) -> None:
        """Chunks are asked for after a pause: an epoch begins."""
        self._epoch_began = now
        self._came = self._lost = 0
        self._full = False
        self._queueing = self._least = float("inf")

    def came(self, queueing: float, round_trip: float, now: float, *, full: bool) -> None:
        """A chunk came.

        Args:
            queueing: Seconds that it has waited in queues.
            round_trip: Seconds since it was asked for.
            now: In the monotonic clock's seconds.
            full: Whether the window was used up.
        """
        self._came += 1
        self._full = self._full or full
        self._queueing = min(self._queueing, queueing)
        unqueued = max(0.0, round_trip - queueing)
        self._least = min(self._least, unqueued)
        if self._round_trip is None:
            self._round_trip = unqueued
        self._round_trip += (unqueued - self._round_trip) / 8
        self._judge(now)

    def lost(self, count: int, now: float) -> None:
        """So many chunks were lost."""
        self._lost += count
        self._full = True
        self._judge(now)

    def _judge(self, now: float) -> None:
        outcomes, lasted = self._came + self._lost, now - self._epoch_began
        if outcomes < OUTCOMES or lasted < max(SHORTEST_EPOCH, self._round_trip or 0.0):
            return
        rate, loss = self._came / lasted, self._lost / outcomes
        best = max(self._rates, default=0.0)
        if self._full or rate > best:
            self._rates.append(rate)
        if self._least < float("inf"):
            self._shortest.append(self._least)
        if self._came and self._queueing > TARGET:
            self._share *= max(0.5, 1 - (self._queueing / TARGET - 1) / 4)
            self._share = max(LEAST_SHARE, self._share)
        else:
            self._share = min(1.0, self._share + RECOVERY)
        if self._drain is _Drain.MEASURED or not self._losses:
            self._losses.append(min(PATH_LOSS_LIMIT, loss))
        self._epochs += 1
        self._go_on()
        self._resize(GROWTH_GAIN if rate > GROWTH * best else CRUISE_GAIN)
        self.resume(now)

    def _go_on(self) -> None:
        """From one epoch to the next."""
        if self._drain is _Drain.SETTLING:
            self._drain = _Drain.MEASURED
        elif self._epochs % CYCLE == FIRST_DRAIN:
            self._drain = _Drain.SETTLING
        else:
            self._drain = _Drain.NONE

    def _resize(self, gain: float) -> None:
        if not self._shortest or not self._rates or self._round_trip is None:
            return
        shortest = min(self._shortest)
        on_path = max(self._rates) * (shortest + min(SLACK, self._round_trip - shortest))
        size = gain * on_path / (1 - min(self._losses)) + MARGIN
        size *= self._share if self._drain is _Drain.NONE else self._share / 2
        # Where something waits already, more would only wait as well.
        growth = 1.0 if self._came and self._queueing > TARGET / 2 else GROWTH_GAIN
        self.size = min(LONGEST_WINDOW, max(SHORTEST_WINDOW, min(size, growth * self.size)))
