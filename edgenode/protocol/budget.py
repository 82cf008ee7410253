"""A budget: how much of something may be used, at a steady rate and at once."""


class Budget:
    """A token bucket. It starts full."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        """`rate` units come back each second, up to `burst`."""
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at = now

    def take(self, units: float, now: float) -> bool:
        """Use so many units, if there are as many; says whether."""
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < units:
            return False
        self._left -= units
        return True
