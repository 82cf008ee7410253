"""How much to hash at once, how long to rest after it, and what rate that makes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

# Short enough that new work is noticed within a fraction of the 200 ms that are promised, long
# enough that Python between two slices costs less than a thousandth.
SLICE_SECONDS = 0.03

# 2 ms on a core that computes 1 MH/s; a Pi 3 is some three times slower.
_FIRST_COUNT = 2048
# A slice that was measured while another process held the core says little: grow slowly. It is
# cut at once, because a slice that is too long delays new work.
_GROWTH = 2


class SlicePacer:
    """Chooses the size of slices so that each takes about `SLICE_SECONDS`."""

    def __init__(self) -> None:
        self.count = _FIRST_COUNT

    def measured(self, count: int, seconds: float) -> None:
        """Take note that `count` nonces took so long, by the wall clock."""
        longest = _GROWTH * self.count
        fitting = count * SLICE_SECONDS / max(seconds, 1e-9)  # a coarse clock may say 0
        self.count = max(1, int(min(fitting, longest)))


def rest(seconds: float, share: float) -> float:
    """Seconds to rest after hashing for `seconds`, so that hashing takes `share` of the time."""
    return seconds * (1 - share) / share


class RestDebt:
    """The rest that a thread owes for what it hashed, whatever becomes of the work meanwhile.

    All time in which it does not hash pays it back: also a wait for work, or for the node's answer.
    """

    def __init__(self, share: float, clock: Callable[[], float]) -> None:
        """Owe nothing yet.

        Args:
            share: Fraction of the time to spend hashing, above 0, at most 1.
            clock: Tells the seconds since some fixed moment.
        """
        self._share = share
        self._clock = clock
        self._until = clock()

    def worked(self, seconds: float) -> None:
        """Take note that the thread has hashed for so long, up to now."""
        self._until = max(self._until, self._clock()) + rest(seconds, self._share)

    @property
    def owed(self) -> float:
        """Seconds to rest from now on before it hashes again; 0 for none."""
        return max(0.0, self._until - self._clock())


class RateMeter:
    """The rate of a counter over its last readings."""

    def __init__(self, readings: int = 10) -> None:
        self._readings: deque[tuple[float, int]] = deque(maxlen=readings + 1)

    def rate(self, now: float, total: int) -> float:
        """Read the counter at `now` (seconds): events per second since the oldest reading."""
        self._readings.append((now, total))
        then, before = self._readings[0]
        return (total - before) / (now - then) if now > then else 0.0
