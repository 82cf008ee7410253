"""How long datagrams from a peer wait in queues on their way here (RFC 6817, section 3.4.2)."""

from collections import deque

BASE_TIME = 60.0
"""Seconds of which the shortest one-way delay is kept; clocks drift apart by milliseconds in it."""

BASES = 3
"""Of these, the last ones count: a route that has become longer is noticed after that time."""

FILTER = 4
"""Delays of which the shortest counts: one that was held up alone is no queue."""

_WRAP = 1 << 32


class QueueingDelay:
    """Measures by the time that the sender writes into its datagrams; the clocks need not agree."""

    __slots__ = ("_bases", "_latest", "_reference")

    def __init__(self) -> None:
        self._reference: int | None = None
        self._bases: deque[tuple[float, int]] = deque()
        self._latest: deque[int] = deque(maxlen=FILTER)

    def sample(self, sent: int, now: float) -> float:
        """Seconds that the last datagrams have waited; one was sent at `sent`.

        `sent` is in microseconds of the sender's clock, modulo 2^32.
        """
        one_way = (int(now * 1e6) - sent) % _WRAP
        if self._reference is None:
            self._reference = one_way
        delay = (one_way - self._reference + _WRAP // 2) % _WRAP - _WRAP // 2
        while self._bases and now > self._bases[0][0] + BASES * BASE_TIME:
            self._bases.popleft()  # the clocks have drifted since
        if not self._bases or now >= self._bases[-1][0] + BASE_TIME:
            self._bases.append((now, delay))
        else:
            began, least = self._bases[-1]
            self._bases[-1] = began, min(least, delay)
        self._latest.append(delay)
        # What is left of the latest may be older than what is left of the bases.
        return max(0, min(self._latest) - min(least for _, least in self._bases)) / 1e6
