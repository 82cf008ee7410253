"""Round-trip estimation and retransmission timeout (RFC 6298)."""

FIRST_TIMEOUT = 0.5
"""Seconds before anything was measured: twice a bad Wi-Fi's round trip."""

SHORTEST_TIMEOUT = 0.2
"""Seconds, as in Linux: below it the scheduler of a busy box, not the network, decides what counts
as lost. Most losses are seen earlier, by what overtakes them (flow.py)."""

LONGEST_TIMEOUT = 10.0
"""Seconds; five round trips of a 2 s link."""


class RoundTrip:
    """Smoothed round trip and its variation, in seconds."""

    __slots__ = ("_backoff", "_variation", "smoothed")

    def __init__(self) -> None:
        self.smoothed: float | None = None
        self._variation = 0.0
        self._backoff = 1.0

    def sample(self, seconds: float) -> None:
        """Take in one measured round trip (never of something sent twice: Karn's rule)."""
        seconds = max(0.0, seconds)
        if self.smoothed is None:
            self.smoothed, self._variation = seconds, seconds / 2
        else:
            self._variation += (abs(seconds - self.smoothed) - self._variation) / 4
            self.smoothed += (seconds - self.smoothed) / 8
        self._backoff = 1.0

    def answered(self) -> None:
        """Something came that measures nothing: the path works, so the back-off ends."""
        self._backoff = 1.0

    def back_off(self) -> None:
        """Double the timeout until the next sample."""
        self._backoff = min(2 * self._backoff, LONGEST_TIMEOUT / SHORTEST_TIMEOUT)

    @property
    def timeout(self) -> float:
        """Seconds after which an answer is taken for lost."""
        base = (
            FIRST_TIMEOUT
            if self.smoothed is None
            else max(SHORTEST_TIMEOUT, self.smoothed + 4 * self._variation)
        )
        return min(LONGEST_TIMEOUT, base * self._backoff)
