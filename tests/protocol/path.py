"""A simulated path: a queue before a slow link, delay, loss; and other traffic in that queue."""

import heapq
import itertools
import random

from edgenode.protocol.flow import Flow

CHUNK = 1200 * 8  # bits of a datagram


class Path:
    """The way of chunks from a peer: requests come through at once but for delay and loss."""

    def __init__(self, *, rate, round_trip, buffer, loss=0.0, seed=1):
        """`rate` in bit/s, `round_trip` in seconds without queues, `buffer` in datagrams."""
        self.rate, self.round_trip, self.buffer, self.loss = rate, round_trip, buffer, loss
        self.rng = random.Random(seed)
        self.now = 0.0
        self.free_at = 0.0
        self._queue = []
        self._order = itertools.count()
        self.delivered = 0
        self.waits = []

    def at(self, time, action):
        heapq.heappush(self._queue, (time, next(self._order), action))

    def run(self, until):
        while self._queue and self._queue[0][0] <= until:
            self.now, _, action = heapq.heappop(self._queue)
            action()
        self.now = until

    def through(self, arrived):
        """Send a datagram through the queue; `arrived(wait)` is called at the other end."""
        wait = max(0.0, self.free_at - self.now)
        if wait * self.rate / CHUNK >= self.buffer:
            return  # the queue is full
        self.free_at = self.now + wait + CHUNK / self.rate
        if self.rng.random() >= self.loss:
            self.at(self.free_at + self.round_trip / 2, lambda: arrived(wait))


class Puller:
    """Pulls without end through a path, as `Pulls` does."""

    def __init__(self, path, clock_offset=123.456):
        self.path, self.flow = path, Flow()
        self.flow.round_trip.sample(path.round_trip)  # a status has measured it
        self.offset = clock_offset
        self.got = set()
        self.came = 0
        self._next = self._tag = 0
        self._again = []
        path.at(path.now, self._tick)

    def _tick(self):
        now = self.path.now
        self._again += self.flow.expire(now)
        if (probe := self.flow.probe(now)) is not None:
            self._ask([probe])
        self._pump()
        self.path.at(now + 0.005, self._tick)

    def _pump(self):
        while room := self.flow.room:
            batch = []
            for _ in range(min(room, 8)):
                if self._again:
                    batch.append(self._again.pop())
                else:
                    batch.append((1, self._next))
                    self._next += 1
            self._ask(batch)

    def _ask(self, batch):
        path, tag = self.path, self._tag
        self._tag += 1
        self.flow.ask(tag, batch, path.now)
        if path.rng.random() >= path.loss:
            path.at(path.now + path.round_trip / 2, lambda: self._answer(tag, batch))

    def _answer(self, tag, batch):
        sent = int((self.path.now + self.offset) * 1e6) % 2**32
        for chunk in batch:
            self.path.through(lambda wait, chunk=chunk: self._came(tag, chunk, sent, wait))

    def _came(self, tag, chunk, sent, wait):
        self.came += 1
        self.got.add(chunk)
        self.path.waits.append((self.path.now, wait))
        self._again += self.flow.receive(tag, chunk, sent, self.path.now)
        self._again = [chunk for chunk in self._again if chunk not in self.got]
        self._pump()


class Reno:
    """A TCP transfer through the same queue: additive increase, halved at each loss."""

    def __init__(self, path):
        self.path = path
        self.window, self.threshold = 10.0, float("inf")
        self.sent = self.got = 0
        self._out = {}
        self._recovered = -1
        path.at(path.now, self._pump)
        path.at(path.now, self._tick)

    def _tick(self):
        patience = max(1.0, 4 * self.path.round_trip)
        late = [n for n, at in self._out.items() if self.path.now - at > patience]
        for n in late:
            del self._out[n]
        if late:
            self.threshold, self.window = max(2.0, self.window / 2), 1.0
        self._pump()
        self.path.at(self.path.now + 0.05, self._tick)

    def _pump(self):
        while len(self._out) < int(self.window):
            number = self.sent
            self.sent += 1
            self._out[number] = self.path.now
            self.path.through(lambda wait, number=number: self._acked(number))

    def _acked(self, number):
        path = self.path

        def ack():
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
