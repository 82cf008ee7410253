"""Flow control of pulled chunks from one peer: how many to ask for, which ones are lost."""

from dataclasses import dataclass

from edgenode.protocol.round_trip import RoundTrip
from edgenode.protocol.wire import ObjectKind

FIRST_WINDOW = 16.0
LONGEST_WINDOW = 128.0
"""Chunks under way from one peer: 131 kB stay below a socket's default receive buffer."""

SHORTEST_WINDOW = 4.0
"""Chunks. Fewer leave nothing behind a lost one that would give the loss away."""

REORDERING = 3
"""Chunks that may overtake another before it counts as lost (RFC 5681's three duplicates)."""

DECREASE = 0.7
"""What a loss leaves of the window (CUBIC's factor, RFC 9438)."""

Wanted = tuple[ObjectKind, bytes, int]
"""A chunk: kind and id of its object, and its index."""


@dataclass(frozen=True, slots=True)
class _Request:
    ordinal: int
    at: float
    again: bool


class Flow:
    """Requests under way to one peer, an additive-increase window, loss detection.

    The peer answers a request with its chunks in order, so a chunk that later-asked ones have
    overtaken is lost, within a round trip and without a timer. The timer serves the last ones.
    """

    def __init__(self) -> None:
        self.round_trip = RoundTrip()
        self.asked = 0
        self.lost = 0
        self._window = FIRST_WINDOW
        self._next_ordinal = 0
        self._under_way: dict[Wanted, _Request] = {}
        self._reduced_at = float("-inf")

    @property
    def room(self) -> int:
        """How many more chunks may be asked for."""
        return max(0, int(self._window) - len(self._under_way))

    def ask(self, chunk: Wanted, again: bool, now: float) -> None:
        """Note that a chunk was asked for; `again` if it was before, from anybody."""
        self.asked += 1
        self._under_way[chunk] = _Request(self._next_ordinal, now, again)
        self._next_ordinal += 1

    def receive(self, chunk: Wanted, now: float) -> list[Wanted]:
        """Note that a chunk came; returns those that it shows to be lost."""
        request = self._under_way.pop(chunk, None)
        if request is None:
            return []
        if request.again:
            self.round_trip.answered()
        else:
            self.round_trip.sample(now - request.at)
        self._window = min(LONGEST_WINDOW, self._window + 1 / self._window)
        overtaken = [
            other
            for other, r in self._under_way.items()
            if r.ordinal + REORDERING < request.ordinal
        ]
        self._lose(overtaken, now)
        return overtaken

    def expire(self, now: float) -> list[Wanted]:
        """The chunks whose time is up; they are lost."""
        if not self._under_way:
            return []
        limit = now - self.round_trip.timeout
        late = [chunk for chunk, request in self._under_way.items() if request.at <= limit]
        if late:
            self._lose(late, now)
            self.round_trip.back_off()
        return late

    def cancel(self, kind: ObjectKind, name: bytes) -> None:
        """Forget what is under way of an object."""
        for chunk in [c for c in self._under_way if c[:2] == (kind, name)]:
            del self._under_way[chunk]

    def forget_beyond(self, kind: ObjectKind, name: bytes, count: int) -> None:
        """Forget what was asked for beyond the last of an object's `count` chunks."""
        for chunk in [c for c in self._under_way if c[:2] == (kind, name) and c[2] >= count]:
            del self._under_way[chunk]

    def deadline(self) -> float | None:
        """When `expire` will next have something."""
        if not self._under_way:
            return None
        return min(request.at for request in self._under_way.values()) + self.round_trip.timeout

    def _lose(self, chunks: list[Wanted], now: float) -> None:
        for chunk in chunks:
            del self._under_way[chunk]
        self.lost += len(chunks)
        # One reduction a round trip: the losses of one burst are one event.
        if chunks and now - self._reduced_at > (self.round_trip.smoothed or 0.0):
            self._reduced_at = now
            self._window = max(SHORTEST_WINDOW, DECREASE * self._window)
