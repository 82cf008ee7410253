"""The replay window: each numbered datagram of a session is taken once (RFC 6479's idea)."""

WINDOW = 4096
"""How far a datagram may be overtaken: a burst of 64 chunks from each of 64 requests."""


class ReplayWindow:
    """Remembers which of the last `WINDOW` numbers were seen."""

    __slots__ = ("_highest", "_seen")

    def __init__(self) -> None:
        self._highest = -1
        self._seen = 0

    def accept(self, counter: int) -> bool:
        """Whether this number is new; it is taken as seen from now on."""
        if counter > self._highest:
            shift = counter - self._highest
            # A shift beyond the window leaves nothing of it; a hostile counter must not make
            # a number of that many bits.
            self._seen = (self._seen << shift) & _MASK if shift < WINDOW else 0
            self._seen |= 1
            self._highest = counter
            return True
        behind = self._highest - counter
        if behind >= WINDOW or self._seen >> behind & 1:
            return False
        self._seen |= 1 << behind
        return True


_MASK = (1 << WINDOW) - 1
