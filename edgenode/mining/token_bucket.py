"""How often something may happen: a rate with room for bursts, in whole milliseconds."""

from __future__ import annotations


class TokenBucket:
    """Fills by tokens each `every_ms` milliseconds up to `burst`; what happens takes tokens."""

    def __init__(self, burst: int, every_ms: int, now: int, *, tokens: int = 1) -> None:
        """Begin full at `now` (milliseconds); `tokens` come each `every_ms`, one after another."""
        self._every = every_ms
        self._tokens = tokens
        self._full = burst * every_ms
        self._level = self._full
        self._last = now

    def take(self, now: int, tokens: int = 1) -> bool:
        """Take so many at `now`; False, and nothing taken, if there are fewer."""
        self._fill(now)
        wanted = tokens * self._every
        if wanted > self._level:
            return False
        self._level -= wanted
        return True

    def spend(self, now: int, tokens: int) -> None:
        """Take so many at `now`, or all that there are."""
        self._fill(now)
        self._level = max(0, self._level - tokens * self._every)

    def _fill(self, now: int) -> None:
        self._level = min(self._full, self._level + max(0, now - self._last) * self._tokens)
        self._last = max(self._last, now)
