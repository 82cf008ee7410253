"""Chunks under way from one peer: how many more to ask for, and which ones are lost."""

from collections import OrderedDict
from dataclasses import dataclass

from edgenode.protocol.congestion import Window
from edgenode.protocol.queueing import QueueingDelay
from edgenode.protocol.round_trip import RoundTrip

REORDERING = 3
MOST_REORDERING = 64
"""Chunks that may overtake another before it counts as lost (RFC 5681's three duplicates): more
after one has come that was given up too soon."""

SMALLEST_BATCH = 2
LARGEST_BATCH = 8
"""Chunks asked for at a time, once there is room for half of the window, or a quarter where more
than a twentieth is lost: a request costs a tenth of a chunk, and what comes of it comes at once."""

PAUSE = 1.0
"""Seconds without a chunk after which what came before says nothing of what comes next."""

SHORTEST_PROBE = 0.02
"""Seconds without a chunk after which one is asked for again, to see what became of the others:
well below the timeout, for a chunk too much costs little; a box that is not busy answers sooner."""

REQUESTS_REMEMBERED = 1024
"""Requests whose time is known, so that chunks that come late measure the round trip as well."""

Wanted = tuple[int, int]
"""A chunk: the number of its unit, and its index in the object."""


@dataclass(frozen=True, slots=True)
class _Asked:
    ordinal: int
    at: float


class Flow:
    """Requests under way to one peer, and their losses.

    The peer answers a request with its chunks in order, so a chunk that later-asked ones have
    overtaken is lost, within a round trip and without a timer. The timer serves the last ones. A
    chunk repeats the tag of the request that it answers, so each measures the round trip.
    """

    def __init__(self) -> None:
        self.round_trip = RoundTrip()
        self.asked = 0
        self.lost = 0
        self._delay = QueueingDelay()
        self.queue: float | None = None
        """Seconds that chunks waited in queues on their way, as the last ones tell."""
        self._window = Window()
        self._next_ordinal = 0
        self._under_way: dict[Wanted, _Asked] = {}
        self._requests: OrderedDict[int, tuple[float, set[Wanted]]] = OrderedDict()
        self._quiet_since = 0.0
        self._probed = False
        self._reordering = REORDERING
        self.proven = False
        """Whether a chunk came since the last timeout."""
        self.silences = 0
        """Timeouts since the last chunk."""

    @property
    def window(self) -> float:
        """Chunks that may be under way."""
        return self._window.size

    @property
    def room(self) -> int:
        """How many more chunks may be asked for; 0 until it is worth a request."""
        room = int(self._window.size) - len(self._under_way)
        # Where much is lost a lost request should not take half of the window with it.
        parts = 2 if 20 * self.lost < self.asked else 4
        batch = min(LARGEST_BATCH, max(SMALLEST_BATCH, int(self._window.size) // parts))
        return max(0, room) if room >= batch or not self._under_way else 0

    def ask(self, tag: int, chunks: list[Wanted], now: float) -> None:
        """Note that these chunks were asked for, by a request with this tag."""
        if not self._under_way:
            if now > self._quiet_since + PAUSE:
                self._window.resume(now)
            self._quiet_since, self._probed = now, False
        self._requests[tag] = now, set(chunks)
        if len(self._requests) > REQUESTS_REMEMBERED:
            self._requests.popitem(last=False)
        for chunk in chunks:
            self._under_way.pop(chunk, None)  # they stand in the order in which they were asked for
            self._under_way[chunk] = _Asked(self._next_ordinal, now)
            self._next_ordinal += 1
        self.asked += len(chunks)

    def receive(self, tag: int, chunk: Wanted, sent: int, now: float) -> list[Wanted]:
        """Note that a chunk came; returns those that it shows to be lost.

        `sent` is in microseconds of the peer's clock, modulo 2^32.
        """
        at, expected = self._requests.get(tag, (0.0, set()))
        if chunk not in expected:
            return []  # not what was asked for with this tag, or once more
        expected.remove(chunk)
        full = 4 * len(self._under_way) >= 3 * int(self._window.size)
        self.round_trip.sample(now - at)
        asked = self._under_way.get(chunk)
        if asked is None:
            return []  # given up, or sent twice: nothing that is waited for
        del self._under_way[chunk]
        self._quiet_since, self._probed = now, False
        if asked.at != at:
            # It was asked for again since: too soon. Of the others it says nothing.
            self._reordering = min(MOST_REORDERING, 2 * self._reordering)
            return []
        self.proven, self.silences = True, 0
        self.queue = self._delay.sample(sent, now)
        self._window.came(self.queue, now - at, now, full=full)
        overtaken = []
        for other, earlier in self._under_way.items():
            if earlier.ordinal + self._reordering >= asked.ordinal:
                break
            overtaken.append(other)
        self._lose(overtaken, now)
        return overtaken

    def probe(self, now: float) -> Wanted | None:
        """The chunk to ask for again because nothing came for a while; None if that is not due.

        When it comes, it has overtaken all that was asked for before it (RFC 8985's tail loss
        probe). The caller asks for it.
        """
        if not self._under_way or self._probed or now < self._probe_at:
            return None
        chunk = next(iter(self._under_way))
        self._next_ordinal += self._reordering
        self._probed = True
        return chunk

    def expire(self, now: float) -> list[Wanted]:
        """The chunks whose time is up; they are lost.

        As long as others come, those before them that were not overtaken wait in some queue.
        """
        if not self._under_way or now < self._quiet_since + self.round_trip.timeout:
            return []
        limit = now - self.round_trip.timeout
        late = [chunk for chunk, asked in self._under_way.items() if asked.at <= limit]
        if late:
            self.proven = False
            self.silences += 1
            self._lose(late, now)
            self.round_trip.back_off()
        return late

    def cancel(self, unit: int) -> list[int]:
        """Forget what is under way of a unit; returns which chunks that was."""
        cancelled = [chunk for chunk in self._under_way if chunk[0] == unit]
        for chunk in cancelled:
            del self._under_way[chunk]
        return [index for _, index in cancelled]

    def answered(self) -> None:
        """The peer said that it lacks something: it is there."""
        self.proven, self.silences = True, 0

    def forget_beyond(self, unit: int, end: int) -> None:
        """Forget what was asked for of a unit from the chunk `end` on."""
        for chunk in [c for c in self._under_way if c[0] == unit and c[1] >= end]:
            del self._under_way[chunk]

    def deadline(self) -> float | None:
        """When `expire` or `probe` will next have something."""
        if not self._under_way:
            return None
        oldest = next(iter(self._under_way.values()))
        expires = max(oldest.at, self._quiet_since) + self.round_trip.timeout
        return expires if self._probed else min(expires, self._probe_at)

    @property
    def _probe_at(self) -> float:
        smoothed = self.round_trip.smoothed
        if smoothed is None:
            return self._quiet_since + self.round_trip.timeout
        return self._quiet_since + max(SHORTEST_PROBE, 3 * smoothed)

    def _lose(self, chunks: list[Wanted], now: float) -> None:
        for chunk in chunks:
            del self._under_way[chunk]
        if chunks:
            self.lost += len(chunks)
            self._window.lost(len(chunks), now)
