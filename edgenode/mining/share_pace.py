"""Variable difficulty: how hard a connection's shares are, so that one comes every few seconds.

Whole milliseconds, hashes and powers of two: the same shares at the same times give the same
difficulty everywhere. A miner's rate is estimated from what its shares count, whatever their
difficulty was, and the difficulty moves when the estimate is off by more than twofold, so that
luck alone seldom moves it.
"""

from __future__ import annotations

from edgenode.mining.share_difficulty import EASIEST, HARDEST, exponent_of, hashes_of

START = -8
"""Where a connection begins: 2^24 hashes, a second of a PC's core, a minute of a small board's."""

LOWEST = -16
"""The easiest shares that are asked of a miner: 65536 hashes. Easier ones cost their sender less
than the pool."""

_ENOUGH_SHARES = 16
"""Shares of an estimate; the Poisson law spreads 16 by 4."""

_MANY_SHARES = 64
"""Shares after which no time is waited for: a fast miner at an easy start must not be taken for a
flood."""

_PATIENCE = 8
"""Spacings after which an estimate is made of whatever there is."""

_STEEPEST_RISE = 8
"""Steps at a time: shares that come in one piece make the rate look higher than it is."""

_STEEPEST_FALL = 4


class SharePace:
    """The difficulty of one connection, as the exponent of a power of two."""

    def __init__(self, spacing_ms: int, now: int, start: int = START, lowest: int = LOWEST) -> None:
        """Begin at `start`, never go below `lowest`, aim at a share each `spacing_ms`."""
        self.exponent = start
        self._lowest = max(EASIEST, lowest)
        self._spacing = spacing_ms
        self._begin(now)

    def suggest(self, exponent: int, now: int) -> None:
        """Go to what the miner itself asks for, within the bounds."""
        self.exponent = min(HARDEST, max(self._lowest, exponent))
        self._begin(now)

    def share(self, exponent: int, now: int) -> None:
        """A share of difficulty 2^exponent was accepted at `now`."""
        self._shares += 1
        self._hashes += hashes_of(exponent)
        elapsed = now - self._since
        enough = self._shares >= _ENOUGH_SHARES and elapsed >= self._spacing // 8
        if enough or self._shares >= _MANY_SHARES:
            self._estimate(now)

    def tick(self, now: int) -> None:
        """Time goes by, also without shares."""
        if now - self._since >= _PATIENCE * self._spacing:
            self._estimate(now)

    def _estimate(self, now: int) -> None:
        elapsed = max(1, now - self._since)
        fitting = exponent_of(self._hashes * self._spacing // elapsed)
        if fitting > self.exponent:
            self.exponent = min(fitting, self.exponent + _STEEPEST_RISE)
        elif fitting < self.exponent - 1:
            # One above the fitting one: between the two bounds neither direction is near.
            self.exponent = max(fitting + 1, self.exponent - _STEEPEST_FALL)
        self.exponent = min(HARDEST, max(self._lowest, self.exponent))
        self._begin(now)

    def _begin(self, now: int) -> None:
        self._since = now
        self._shares = 0
        self._hashes = 0
