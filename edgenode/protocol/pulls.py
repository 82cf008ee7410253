"""Pulling of blocks, payloads and states: chunk by chunk, each from one peer, until whole.

All chunks of an object come from the same peer, so that a wrong object has one culprit; another
source begins anew.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from edgenode.protocol.flow import Flow, Wanted
from edgenode.protocol.wire import (
    CHUNK_BYTES,
    CHUNKS_LIMIT,
    RANGES_LIMIT,
    Chunk,
    GetChunks,
    ObjectKind,
)

ACTIVE_LIMIT = 32
"""Objects pulled at a time; others wait their turn."""

ACTIVE_BYTES = 32 << 20
"""Bytes of the objects pulled at a time, as far as there is more than one, and of what is here of
those that pause: what a box with 512 MB of memory can spare."""

FIRST_CHUNKS = 4
"""Chunks asked for while an object's length is unknown: a usual block."""

PATIENCE = 4
"""Timeouts, not made up for by chunks, after which another peer is asked."""

CHUNKS_PER_TIMEOUT = 2
"""Chunks that make up for one timeout: who sends less has no claim to the object."""

ABSENT_TIME = 5.0
"""Seconds before a peer that lacked an object is asked for it again."""

Object = tuple[ObjectKind, bytes]


@dataclass(slots=True)
class _Pull:
    known_length: int | None
    limit: int
    sources: "OrderedDict[int, float]"
    source: int | None = None
    length: int | None = None
    urgent: bool = False
    paused_until: float = float("-inf")
    chunks: dict[int, bytes] = field(default_factory=dict)
    received: int = 0
    pending: deque[int] = field(default_factory=deque)
    asked_before: set[int] = field(default_factory=set)
    overdue: int = 0
    """Chunks that its source would have to send to make up for its timeouts."""

    def begin(self, source: int) -> None:
        self.source, self.length = source, self.known_length
        self.pending.extend(range(FIRST_CHUNKS if self.length is None else _chunks(self.length)))

    def learn_length(self, length: int) -> None:
        self.length = length
        count = _chunks(length)
        self.pending = deque(i for i in self.pending if i < count)
        self.pending.extend(range(FIRST_CHUNKS, count))

    def take_pending(self, room: int) -> list[int]:
        indices: list[int] = []
        while self.pending and len(indices) < room:
            index = self.pending.popleft()
            if index not in self.chunks:
                indices.append(index)
        return sorted(indices)

    def leave(self) -> None:
        self.source = self.length = None
        self.chunks.clear()
        self.pending.clear()
        self.asked_before.clear()
        self.received = self.overdue = 0


@dataclass(frozen=True, slots=True)
class Completed:
    """All bytes of an object; whether they are the right ones is not checked here.

    `source` is the session of the peer that sent all of them.
    """

    kind: ObjectKind
    id: bytes
    data: bytes
    source: int


class Pulls:
    """All objects being pulled, and the flows of the peers that they are pulled from."""

    def __init__(self) -> None:
        self._flows: dict[int, Flow] = {}
        self._pulls: OrderedDict[Object, _Pull] = OrderedDict()
        self._wake_at: float | None = None

    def __len__(self) -> int:
        return len(self._pulls)

    def add_peer(self, session: int, flow: Flow) -> None:
        """A peer that can be pulled from."""
        self._flows[session] = flow

    def drop_peer(self, session: int) -> None:
        """Pull from others what was being pulled from this peer."""
        self._flows.pop(session, None)
        for pull in self._pulls.values():
            pull.sources.pop(session, None)
            if pull.source == session:
                pull.leave()

    def want(
        self,
        kind: ObjectKind,
        name: bytes,
        length: int | None,
        limit: int,
        sources: Iterable[int],
        *,
        urgent: bool = True,
    ) -> None:
        """Pull an object from one of these peers; said again, it adds peers.

        `length` in bytes if it is known, `limit` the most that it may have. What is not urgent
        waits for what is.
        """
        pull = self._pulls.setdefault((kind, name), _Pull(length, limit, OrderedDict()))
        pull.urgent = pull.urgent or urgent
        pull.limit = max(pull.limit, limit)
        if pull.known_length not in {None, length}:
            # Two updates name one payload and say different lengths: only its hash can tell.
            pull.known_length = None
            if pull.source is not None:
                self._flows[pull.source].cancel(kind, name)
                pull.leave()
        for session in sources:
            if session in self._flows:
                pull.sources.setdefault(session, float("-inf"))

    def received(self, objects: set[Object]) -> int:
        """Bytes at hand of objects that are not whole yet."""
        return sum(self._pulls[key].received for key in objects if key in self._pulls)

    def cancel(self, kind: ObjectKind, name: bytes) -> None:
        """Stop pulling an object."""
        if self._pulls.pop((kind, name), None) is not None:
            for flow in self._flows.values():
                flow.cancel(kind, name)

    def keep_only(self, wanted: set[Object]) -> None:
        """Stop pulling all other objects: what nobody has must not stand in the way."""
        for kind, name in [key for key in self._pulls if key not in wanted]:
            self.cancel(kind, name)

    def chunk(self, session: int, chunk: Chunk, now: float) -> Completed | None:
        """Take in a chunk; returns the object when it is whole."""
        wanted: Wanted = (chunk.kind, chunk.id, chunk.index)
        flow = self._flows.get(session)
        if flow is not None:
            self._lost(flow.receive(wanted, now))
        pull = self._pulls.get((chunk.kind, chunk.id))
        if pull is None or session != pull.source or chunk.index not in pull.asked_before:
            return None  # not asked for, or not of this peer
        if chunk.index in pull.chunks:
            return None
        if pull.length is None and chunk.length <= pull.limit:
            pull.learn_length(chunk.length)
            for each in self._flows.values():
                # What was asked for beyond the end never comes: it is neither lost nor late.
                each.forget_beyond(chunk.kind, chunk.id, _chunks(chunk.length))
        if chunk.length != pull.length:
            # Longer than the object can be, or not what this peer said before.
            self.absent(session, chunk.kind, chunk.id, now)
            return None
        pull.chunks[chunk.index] = chunk.data
        pull.received += len(chunk.data)
        pull.overdue = max(0, pull.overdue - 1)
        if pull.received < pull.length:
            return None
        self.cancel(chunk.kind, chunk.id)
        data = b"".join(pull.chunks[i] for i in range(len(pull.chunks)))
        return Completed(chunk.kind, chunk.id, data, session)

    def absent(self, session: int, kind: ObjectKind, name: bytes, now: float) -> None:
        """A peer says that it lacks an object."""
        pull = self._pulls.get((kind, name))
        if pull is not None and session in pull.sources:
            pull.sources[session] = now + ABSENT_TIME
            if pull.source == session:
                self._flows[session].cancel(kind, name)
                pull.leave()

    def pump(self, now: float) -> list[tuple[int, GetChunks]]:
        """Requests to send now: lost chunks again, missing ones as far as windows have room."""
        for session, flow in self._flows.items():
            self._late(session, flow.expire(now), now)
        requests: list[tuple[int, GetChunks]] = []
        active: set[Object] = set()
        held = 0
        room = sum(flow.room for flow in self._flows.values())
        self._wake_at = None
        order = sorted(self._pulls.items(), key=lambda item: not item[1].urgent)
        for (kind, name), pull in order:
            if active and (len(active) >= ACTIVE_LIMIT or held + pull.limit > ACTIVE_BYTES):
                break
            if pull.paused_until > now:
                self._come_back(pull.paused_until)
                continue
            if pull.source is None and not (room and self._choose_source(pull, now)):
                continue
            active.add((kind, name))
            held += pull.limit
            assert pull.source is not None
            flow = self._flows[pull.source]
            indices = pull.take_pending(flow.room)
            room -= len(indices)
            for index in indices:
                flow.ask((kind, name, index), index in pull.asked_before, now)
            pull.asked_before.update(indices)
            requests += [(pull.source, GetChunks(kind, name, r)) for r in _requests(indices)]
        if self._drop_beyond_bytes(order, active):
            self._come_back(now)  # their windows have room again
        return requests

    def deadline(self) -> float | None:
        """When `pump` should be called at the latest."""
        times = [self._wake_at, *(flow.deadline() for flow in self._flows.values())]
        return min((time for time in times if time is not None), default=None)

    def _drop_beyond_bytes(self, order: list[tuple[Object, _Pull]], active: set[Object]) -> bool:
        """Let go of what came of objects that pause or wait, where it takes too much memory."""
        room, dropped = ACTIVE_BYTES, False
        for key, pull in order:
            if key in active:
                room -= pull.limit if pull.length is None else pull.length
        for key, pull in order:
            if key not in active and pull.received:
                room -= pull.received
                if room < 0:
                    for flow in self._flows.values():
                        flow.cancel(*key)
                    pull.leave()
                    dropped = True
        return dropped

    def _choose_source(self, pull: _Pull, now: float) -> bool:
        usable = [s for s, until in pull.sources.items() if until <= now and s in self._flows]
        if not usable:
            if pull.sources:
                self._come_back(min(pull.sources.values()))
            return False
        # The peer with the most room: fast and idle ones first. Who has none is not queued at: it
        # may be silent, while another soon has room again.
        source = max(usable, key=lambda session: self._flows[session].room)
        if not self._flows[source].room:
            return False
        pull.begin(source)
        return True

    def _come_back(self, at: float) -> None:
        self._wake_at = at if self._wake_at is None else min(at, self._wake_at)

    def _lost(self, chunks: Iterable[Wanted]) -> None:
        for kind, name, index in chunks:
            pull = self._pulls.get((kind, name))
            if pull is not None:
                pull.pending.appendleft(index)

    def _late(self, session: int, chunks: list[Wanted], now: float) -> None:
        self._lost(chunks)
        for key in dict.fromkeys(chunk[:2] for chunk in chunks):
            pull = self._pulls.get(key)
            if pull is None or pull.source != session:
                continue
            pull.overdue += CHUNKS_PER_TIMEOUT
            if pull.overdue < CHUNKS_PER_TIMEOUT * PATIENCE:
                continue
            if len(pull.sources) > 1:
                # As if it had said that it lacks the object: the others have their turn first.
                self.absent(session, *key, now)
            else:
                # Nobody else to ask: what came is kept, and other objects have their turn first.
                pull.paused_until = now + ABSENT_TIME
                pull.overdue = 0
                self._pulls.move_to_end(key)


def _chunks(length: int) -> int:
    return -(-length // CHUNK_BYTES)


def _requests(indices: list[int]) -> list[tuple[tuple[int, int], ...]]:
    """The indices (ascending) as ranges, split so that each request keeps its bounds."""
    requests: list[list[tuple[int, int]]] = []
    room = 0
    for index in indices:
        current = requests[-1] if requests else None
        if current and room and sum(current[-1]) == index:
            current[-1] = (current[-1][0], current[-1][1] + 1)
        elif current and room and len(current) < RANGES_LIMIT:
            current.append((index, 1))
        else:
            requests.append([(index, 1)])
            room = CHUNKS_LIMIT
        room -= 1
    return [tuple(ranges) for ranges in requests]
