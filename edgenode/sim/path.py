"""A simulated path between two nodes: a queue before a slow link, delay, loss, other traffic."""

import heapq
import itertools
import random
from collections.abc import Callable
from functools import partial

from edgenode.protocol.flow import LARGEST_BATCH, Flow, Wanted
from edgenode.protocol.wire import DATAGRAM_LIMIT

DATAGRAM_BITS = 8 * DATAGRAM_LIMIT


class Path:
    """The way of chunks from a peer: requests come through at once but for delay and loss."""

    def __init__(
        self, *, rate: float, round_trip: float, buffer: int, loss: float = 0.0, seed: int = 1
    ) -> None:
        """`rate` in bit/s, `round_trip` in seconds without queues, `buffer` in datagrams."""
        self.rate, self.round_trip, self.buffer, self.loss = rate, round_trip, buffer, loss
        self.rng = random.Random(seed)
        self.now = 0.0
        self.free_at = 0.0
        self.given = 0
        self.waits: list[tuple[float, float]] = []
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Do something at a time."""
        heapq.heappush(self._queue, (time, next(self._order), action))

    def run(self, until: float) -> None:
        """Let time pass until that time."""
        while self._queue and self._queue[0][0] <= until:
            self.now, _, action = heapq.heappop(self._queue)
            action()
        self.now = until

    def through(self, arrived: Callable[[float], None]) -> None:
        """Send a datagram through the queue; `arrived(wait)` is called at the other end."""
        self.given += 1
        wait = max(0.0, self.free_at - self.now)
        if wait * self.rate / DATAGRAM_BITS >= self.buffer:
            return  # the queue is full
        self.free_at = self.now + wait + DATAGRAM_BITS / self.rate
        if self.rng.random() >= self.loss:
            self.at(self.free_at + self.round_trip / 2, lambda: arrived(wait))


class Puller:
    """Pulls without end through a path, as `Pulls` does."""

    def __init__(self, path: Path, clock_offset: float = 123.456) -> None:
        """Begin at once; `clock_offset` is by how many seconds the other's clock is ahead."""
        self.path, self.flow = path, Flow()
        self.flow.round_trip.sample(path.round_trip)  # a status has measured it
        self.offset = clock_offset
        self.got: set[Wanted] = set()
        self.came = 0
        self._next = self._tag = 0
        self._again: list[Wanted] = []
        path.at(path.now, self._tick)

    def _tick(self) -> None:
        now = self.path.now
        self._again += self.flow.expire(now)
        if (probe := self.flow.probe(now)) is not None:
            self._ask([probe])
        self._pump()
        self.path.at(now + 0.005, self._tick)

    def _pump(self) -> None:
        while room := self.flow.room:
            batch: list[Wanted] = []
            while len(batch) < min(room, LARGEST_BATCH) and (chunk := self._take()) is not None:
                batch.append(chunk)
            if not batch:
                return
            self._ask(batch)

    def _take(self) -> Wanted | None:
        """What to ask for next: what was lost first."""
        if self._again:
            return self._again.pop()
        self._next += 1
        return 1, self._next - 1

    def _ask(self, batch: list[Wanted]) -> None:
        path, tag = self.path, self._tag
        self._tag += 1
        self.flow.ask(tag, batch, path.now)
        if path.rng.random() >= path.loss:
            path.at(path.now + path.round_trip / 2, lambda: self._answer(tag, batch))

    def _answer(self, tag: int, batch: list[Wanted]) -> None:
        sent = int((self.path.now + self.offset) * 1e6) % 2**32
        for chunk in batch:
            self.path.through(partial(self._came, tag, chunk, sent))

    def _came(self, tag: int, chunk: Wanted, sent: int, wait: float) -> None:
        self.came += 1
        self.got.add(chunk)
        self.path.waits.append((self.path.now, wait))
        self._again += self.flow.receive(tag, chunk, sent, self.path.now)
        self._again = [each for each in self._again if each not in self.got]
        self._pump()


class Reno:
    """A TCP transfer through the same queue: additive increase, halved at each loss."""

    def __init__(self, path: Path) -> None:
        """Begin at once, without end."""
        self.path = path
        self.window, self.threshold = 10.0, float("inf")
        self.sent = self.got = 0
        self._out: dict[int, float] = {}
        self._recovered = -1
        path.at(path.now, self._pump)
        path.at(path.now, self._tick)

    def _tick(self) -> None:
        patience = max(1.0, 4 * self.path.round_trip)
        late = [n for n, at in self._out.items() if self.path.now - at > patience]
        for n in late:
            del self._out[n]
        if late:
            self.threshold, self.window = max(2.0, self.window / 2), 1.0
        self._pump()
        self.path.at(self.path.now + 0.05, self._tick)

    def _pump(self) -> None:
        while len(self._out) < int(self.window):
            number = self.sent
            self.sent += 1
            self._out[number] = self.path.now
            self.path.through(partial(self._acked, number))

    def _acked(self, number: int, _wait: float) -> None:
        path = self.path

        def ack() -> None:
            if self._out.pop(number, None) is None:
                return
            self.got += 1
            self.window += 1.0 if self.window < self.threshold else 1 / self.window
            lost = [n for n in self._out if n < number - 3]
            for n in lost:
                del self._out[n]
            if lost and number > self._recovered:
                self._recovered = self.sent
                self.window = self.threshold = max(2.0, self.window / 2)
            self._pump()

        path.at(path.now + path.round_trip / 2, ack)
