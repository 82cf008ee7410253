"""Boxes that pull objects from each other, over links that lose and delay, in virtual time."""

import heapq
import itertools
import random
from types import SimpleNamespace

from edgenode.ledger.hashes import content_id, piece_hashes, piece_list
from edgenode.protocol.flow import Flow
from edgenode.protocol.pulls import Completed, Pulls, Spoilt
from edgenode.protocol.serving import Serving
from edgenode.protocol.wire import Absent, Chunk, GetChunks, Holdings, ObjectKind, decode, encode


class Box:
    """Pulls and serves; `objects` are here as a whole."""

    def __init__(self, number, seed):
        self.number = number
        self.objects = {}
        self.pulls = Pulls(random.Random(seed * 1000 + number))
        chain = SimpleNamespace(has_payload=lambda name: self.find(ObjectKind.PAYLOAD, name))
        self.serving = Serving(chain, self.pulls)
        self.flows = {}
        self.done = {}
        self.spoilt = []
        self.dead = False
        self.sent = 0

    def has(self, data, kind=ObjectKind.PAYLOAD):
        self.objects[kind, content_id(data)] = data

    def find(self, kind, name):
        if kind is ObjectKind.PIECES:
            for (_, other), data in self.objects.items():
                if other == name:
                    return piece_list(len(data), piece_hashes(data))
        return self.objects.get((kind, name))

    def answer(self, request, now, session=0):
        self.serving._at_hand[request.kind, request.id] = b""  # reads cost nothing here
        return self.serving.answer(request, session, self.find, now)

    def handle(self, session, message, now):
        match message:
            case GetChunks():
                return self.answer(message, now)
            case Chunk():
                for outcome in self.pulls.chunk(session, message, now):
                    match outcome:
                        case Completed() as done:
                            self.done[done.id] = done
                            self.objects[done.kind, done.id] = done.data
                        case Spoilt() as spoilt:
                            self.spoilt.append(spoilt.source)
            case Absent():
                self.pulls.absent(session, message.kind, message.id, now)
            case Holdings():
                told = self.serving.take_holdings(session, message, now)
                return [] if told is None else [told]
        return []


class Swarm:
    """Boxes, each with a session to every other one, whose number is that of the box."""

    def __init__(self, boxes, *, loss=0.0, delay=(0.001, 0.004), seed=1, rate=None):
        """`rate`: chunks a second that a box can send; None: any number."""
        self.rng = random.Random(seed)
        self.loss, self.delay, self.rate = loss, delay, rate
        self.now = 0.0
        self.boxes = [Box(number, seed) for number in range(boxes)]
        self._queue = []
        self._order = itertools.count()
        self._free = [0.0] * boxes
        self.chunks = 0
        for box, other in itertools.permutations(self.boxes, 2):
            box.flows[other.number] = Flow()
            box.pulls.add_peer(other.number, box.flows[other.number])

    def want(self, box, data, sources, kind=ObjectKind.PAYLOAD, length=True):
        name = content_id(data)
        sessions = [other.number for other in sources]
        known = len(data) if length else None
        box.pulls.want(kind, name, known, len(data), sessions)
        return name

    def send(self, sender, receiver, message):
        if receiver.dead or self.rng.random() < self.loss:
            return
        at = self.now
        if isinstance(message, Chunk):
            self.chunks += 1
            sender.sent += 1
            if self.rate:
                at = max(at, self._free[sender.number])
                self._free[sender.number] = at = at + 1 / self.rate
        data = encode(message)
        heapq.heappush(
            self._queue,
            (at + self.rng.uniform(*self.delay), next(self._order), sender, receiver, data),
        )

    def pump(self, box):
        for session, message in box.pulls.pump(self.now):
            self.send(box, self.boxes[session], message)

    def run(self, condition, limit=600.0):
        """Let time pass until the condition holds; says whether it does."""
        for box in self.boxes:
            self.pump(box)
        while not condition():
            deadlines = [(b.pulls.deadline(), b) for b in self.boxes if not b.dead]
            due = min((d for d in deadlines if d[0] is not None), default=None, key=lambda d: d[0])
            arrival = self._queue[0][0] if self._queue else None
            if due is None and arrival is None:
                return False
            if arrival is None or (due is not None and due[0] < arrival):
                self.now = max(self.now + 1e-6, due[0])
                self.pump(due[1])
            else:
                self.now, _, sender, receiver, data = heapq.heappop(self._queue)
                if not receiver.dead:
                    message = decode(data)
                    for answer in receiver.handle(sender.number, message, self.now):
                        self.send(receiver, sender, answer)
                    self.pump(receiver)
            if self.now > limit:
                return False
        return True
