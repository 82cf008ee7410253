"""Pulling of blocks, payloads and states: which chunks to ask of whom, until all is here.

Who has room gets work: a peer whose window allows more is asked for another unit that it is said to
have, the rarest first; when all are asked for, it helps with those that are under way. What was
checked of an object is served to others while the rest is still pulled.
"""

import random
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from edgenode.ledger.hashes import PIECE_BYTES
from edgenode.protocol.flow import LARGEST_BATCH, Flow
from edgenode.protocol.piece_news import PieceNews
from edgenode.protocol.transfer import (
    DIGEST_BYTES,
    LENGTH_BYTES,
    Hashes,
    Object,
    PieceStore,
    Transfer,
    Unit,
)
from edgenode.protocol.wire import (
    CHUNKS_LIMIT,
    PIECES_LIMIT,
    RANGES_LIMIT,
    Chunk,
    GetChunks,
    Holding,
    Holdings,
    ObjectKind,
    chunk_span,
)

ACTIVE_LIMIT = 32
"""Objects pulled at a time; others wait their turn."""

ACTIVE_BYTES = 32 << 20
"""Bytes of the objects pulled at a time, as far as there is more than one, and of what is here of
those that pause: what a box with 512 MB of memory can spare."""

PATIENCE = 4
"""Timeouts, not made up for by chunks, after which another peer is asked."""

CHUNKS_PER_TIMEOUT = 2
"""Chunks that make up for one timeout: who sends less has no claim to the object."""

PAUSE = 5.0
"""Seconds for which an object that only a silent peer has lets others have their turn."""

UNIT_TIME = 5.0
LEAST_RATE = 2048
"""Seconds that a peer has for a unit, besides four timeouts, and bytes a second that it has to
bring: who sends a chunk now and then, or everything but this one, does not keep it from others."""

LOOK_INTERVAL = 0.25
"""Seconds between two looks at who is too slow."""

HASHES_LIMIT = LENGTH_BYTES + DIGEST_BYTES * PIECES_LIMIT
"""Bytes of the list of hashes of the longest object."""


TAGS_LIMIT = 8192
"""Requests whose chunks are still taken: more than all windows together hold."""


@dataclass(frozen=True, slots=True)
class Completed:
    """All bytes of an object. `source` is the session that they came from.

    It is None for an object in pieces, all of which have the hashes that its content id covers.
    Else it is not checked here whether they are the right bytes.
    """

    kind: ObjectKind
    id: bytes
    data: bytes
    source: int | None


@dataclass(frozen=True, slots=True)
class Spoilt:
    """A peer sent a part of an object that is not what the object's content id covers."""

    kind: ObjectKind
    id: bytes
    source: int


Request = GetChunks | Holdings


class Pulls:
    """All objects being pulled, and the flows of the peers that they are pulled from."""

    def __init__(
        self,
        rng: random.Random | None = None,
        is_guest: Callable[[int], bool] | None = None,
        kept: PieceStore | None = None,
    ) -> None:
        """`rng` decides between units that are equally rare; guests are asked after members.

        `kept` are pieces of large objects that outlast a restart.
        """
        self._is_guest = is_guest or (lambda _: False)
        self._kept = kept
        self._rng = rng or random.Random(0)  # noqa: S311  (no secret)
        self._flows: dict[int, Flow] = {}
        self._transfers: OrderedDict[Object, Transfer] = OrderedDict()
        self._units: dict[int, list[tuple[Transfer, Unit]]] = {}
        """By session: the units that it is asked for."""
        self._tags: OrderedDict[int, tuple[Object, int, int, int]] = OrderedDict()
        """The object, place and number of the unit, and the session of each request."""
        self._look_at = float("-inf")
        self._next_number = 0
        self._next_tag = 0
        self._wake_at: float | None = None
        self._news = PieceNews(self._rng)
        self.asked_again = 0
        """Chunks that were lost or late, or asked for again to see what became of others."""
        self.stale = True
        """Whether there is something to ask of others than of who sent the last chunk."""

    def __len__(self) -> int:
        return len(self._transfers)

    # What is wanted, and of whom

    def add_peer(self, session: int, flow: Flow) -> None:
        """A peer that can be pulled from."""
        self._flows[session] = flow
        self._units[session] = []

    def drop_peer(self, session: int) -> None:
        """Pull from others what was being pulled from this peer."""
        for transfer, unit in list(self._units.get(session, [])):
            self._leave(transfer, unit, session)
        self._units.pop(session, None)
        self._flows.pop(session, None)
        for transfer in self._transfers.values():
            transfer.forget(session)

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
        """Pull an object from these peers; said again, it adds peers.

        `length` in bytes if it is known, `limit` the most that it may have. What is not urgent
        waits for what is.
        """
        transfer = self._transfers.get((kind, name))
        if transfer is None:
            transfer = Transfer(kind, name, length, limit, urgent)
            self._transfers[kind, name] = transfer
            self._begin(transfer)
            if self._kept is not None and transfer.outlasts:
                self._next_number += transfer.resume(self._kept, self._next_number)
            self.stale = True
        transfer.urgent = transfer.urgent or urgent
        transfer.limit = max(transfer.limit, limit)
        if transfer.hashes is None and transfer.length not in {None, length}:
            # Two updates name one payload and say different lengths: only its hash can tell.
            self._end_units(transfer)
            transfer.length = None
            self._begin(transfer)
        for session in sources:
            if session in self._flows:
                transfer.sources.setdefault(session)

    def _begin(self, transfer: Transfer) -> None:
        """Begin with the list of hashes, or with all of it."""
        if transfer.is_pieced:
            unit = Unit(self._number(), ObjectKind.PIECES, 0, None, None)
        else:
            unit = Unit(self._number(), transfer.kind, 0, None, None)
            if transfer.length is not None:
                unit.learn_length(transfer.length)
        transfer.units, transfer.free = {0: unit}, 1

    def received(self, objects: set[Object]) -> int:
        """Bytes at hand of objects that are not whole yet."""
        found = (self._transfers.get(key) for key in objects)
        return sum(transfer.received for transfer in found if transfer is not None)

    def cancel(self, kind: ObjectKind, name: bytes) -> None:
        """Stop pulling an object."""
        transfer = self._transfers.pop((kind, name), None)
        if transfer is not None:
            self._end_units(transfer)
            transfer.pieces.clear()

    def keep_only(self, wanted: set[Object]) -> None:
        """Stop pulling all other objects: what nobody has must not stand in the way."""
        for kind, name in [key for key in self._transfers if key not in wanted]:
            self.cancel(kind, name)

    # What peers say

    def chunk(self, session: int, chunk: Chunk, now: float) -> list[Completed | Spoilt]:
        """Take in a chunk; returns the object if it is whole, and who has spoilt a part of it."""
        asked = self._tags.get(chunk.tag)
        if asked is None or asked[3] != session:
            return []  # not asked for, or not of this peer
        key, place, number, _ = asked
        lost = self._flows[session].receive(chunk.tag, (number, chunk.index), chunk.sent, now)
        self._lost(session, lost)
        transfer = self._transfers.get(key)
        unit = None if transfer is None else transfer.units.get(place)
        if transfer is None or unit is None or unit.number != number:
            return []  # not wanted any more
        if chunk.index in unit.chunks or (unit.is_of_one and session not in unit.sources):
            return []  # it is here, or another peer is asked for it now
        if unit.length is None and self._fits(transfer, unit, chunk.length):
            unit.learn_length(chunk.length)
            # What was asked for beyond the end never comes: it is neither lost nor late.
            self._flows[session].forget_beyond(unit.number, unit.end or 0)
        if chunk.length != unit.length or not unit.first <= chunk.index < (unit.end or 0):
            # Longer than the object can be, or not what was said before.
            self.absent(session, transfer.kind, transfer.id, now)
            return []
        unit.chunks[chunk.index] = chunk.data
        unit.senders[chunk.index] = session
        if session in unit.sources:
            unit.sources[session] = max(0, unit.sources[session] - 1)
        return self._take(transfer, unit, now) if unit.is_whole() else []

    @staticmethod
    def _fits(transfer: Transfer, unit: Unit, length: int) -> bool:
        """Whether a unit may have this length, which its first chunk states."""
        if unit.kind is not ObjectKind.PIECES:
            return length <= transfer.limit
        if transfer.length is None:
            return length <= HASHES_LIMIT
        return length == transfer.hashes_bytes

    def _take(self, transfer: Transfer, unit: Unit, now: float) -> list[Completed | Spoilt]:
        """A unit is whole: check it, if that is for here to do."""
        data = unit.data()
        if unit.digest is not None:
            return self._take_piece(transfer, unit, data, now)
        sender = unit.senders[unit.first]
        if unit.kind is not ObjectKind.PIECES:
            self.cancel(transfer.kind, transfer.id)
            return [Completed(transfer.kind, transfer.id, data, sender)]
        self._stop(transfer, unit)
        match transfer.learn_hashes(data, self._next_number):
            case Hashes.WRONG:
                return [self._spoilt(transfer, unit, sender, now)]
            case Hashes.UNFIT:
                self._clear(transfer, unit)
                self.absent(sender, transfer.kind, transfer.id, now)
                return []
        self._next_number += len(transfer.units)
        for each in transfer.units.values():
            each.begin()
        transfer.announce_at = now
        self.stale = True
        return []

    def _take_piece(
        self, transfer: Transfer, unit: Unit, data: bytes, now: float
    ) -> list[Completed | Spoilt]:
        self._stop(transfer, unit)
        senders = set(unit.senders.values())
        if not unit.is_right(data):
            if len(senders) == 1:
                return [self._spoilt(transfer, unit, senders.pop(), now)]
            # Chunks of several do not tell whose was wrong: once more, from one of them.
            unit.suspect()
            self._clear(transfer, unit)
            unit.alone = True
            return []
        outcomes: list[Completed | Spoilt] = [
            Spoilt(transfer.kind, transfer.id, liar) for liar in sorted(unit.liars())
        ]
        transfer.keep(unit, data)
        if self._kept is not None and transfer.outlasts:
            assert transfer.hashes is not None, "its pieces have hashes"
            self._kept.keep(transfer.kind, transfer.id, unit.place, data, transfer.hashes)
        if transfer.is_whole:
            self._news.say_farewell(transfer)
            self.stale = True
            outcomes.append(Completed(transfer.kind, transfer.id, transfer.data(), None))
            self.cancel(transfer.kind, transfer.id)
        elif transfer.has_news():
            self._come_back(transfer.announce_at)
        return outcomes

    def _spoilt(self, transfer: Transfer, unit: Unit, sender: int, now: float) -> Spoilt:
        self._clear(transfer, unit)
        self.absent(sender, transfer.kind, transfer.id, now)
        return Spoilt(transfer.kind, transfer.id, sender)

    def absent(self, session: int, kind: ObjectKind, name: bytes, now: float) -> None:
        """A peer says that it lacks an object, or does not give it."""
        self.stale = True
        for transfer in list(self._transfers.values()):
            if transfer.id == name and (kind is ObjectKind.PIECES or transfer.kind is kind):
                # What it was not asked for says nothing of whether it answers.
                if session in self._flows and transfer.asks(session):
                    self._flows[session].answered()
                self._rest(transfer, session, now)

    def _rest(self, transfer: Transfer, session: int, now: float) -> None:
        """Leave a peer alone with an object for a while."""
        transfer.let_rest(session, now)
        for unit in [u for u in transfer.units.values() if session in u.sources]:
            self._leave(transfer, unit, session)

    def holding(self, session: int, holding: Holding, now: float) -> bool:
        """A peer says which pieces of an object it has; returns whether that is pulled here."""
        transfer = self._transfers.get((holding.kind, holding.id))
        if transfer is None or session not in self._flows:
            return transfer is not None
        if transfer.hashes is None or holding.pieces == len(transfer.copies):
            transfer.note_held(session, holding.held, now)
            if holding.held.bit_count() < holding.pieces:
                if session not in transfer.interested:
                    transfer.announce_at = min(transfer.announce_at, now)
                transfer.interested.add(session)
            else:
                transfer.interested.discard(session)
        return True

    # What others may have

    def part(self, kind: ObjectKind, name: bytes, index: int) -> tuple[int, bytes] | None:
        """The length of an object that is pulled, and its chunk `index` if it is here, checked."""
        if kind is ObjectKind.PIECES:
            for transfer in self._transfers.values():
                if transfer.id == name and transfer.hashes is not None:
                    start, end = chunk_span(len(transfer.hashes), index)
                    return len(transfer.hashes), transfer.hashes[start:end]
            return None
        found = self._transfers.get((kind, name))
        if found is None or found.length is None:
            return None
        start, end = chunk_span(found.length, index)
        piece = found.pieces.get(start // PIECE_BYTES)
        if piece is None or start >= end:
            return None
        offset = start // PIECE_BYTES * PIECE_BYTES
        return found.length, piece[start - offset : end - offset]

    # Requests

    def pump(self, now: float) -> list[tuple[int, Request]]:
        """What to send now: requests as far as windows have room, and words about pieces."""
        self._wake_at = None
        self.stale = False
        if not self._transfers and all(f.deadline() is None for f in self._flows.values()):
            return list(self._news.due((), list(self._flows), now)[0])  # most of the time
        requests: list[tuple[int, Request]] = []
        for session, flow in self._flows.items():
            deadline = flow.deadline()
            if deadline is not None and deadline <= now:
                self._late(session, flow.expire(now), now)
                if (probe := flow.probe(now)) is not None:
                    self.asked_again += 1
                    requests += self._ask_again(session, probe, now)
        self._look_for_slow(now)
        opened = self._open(now)
        for session in sorted(self._flows, key=self._preference):
            requests += self.fill(session, now, opened)
        self._drop_beyond_bytes()
        words, again_at = self._news.due(self._transfers.values(), list(self._flows), now)
        if again_at is not None:
            self._come_back(again_at)
        return requests + words

    def _preference(self, session: int) -> tuple[int, bool, bool, int]:
        # Whoever holds the ward key is a guest, and there may be any number of them.
        flow = self._flows[session]
        return flow.silences, self._is_guest(session), not flow.proven, -flow.room

    def fill(
        self, session: int, now: float, opened: list[Transfer] | None = None
    ) -> Iterator[tuple[int, Request]]:
        """Requests to one peer, as far as its window has room.

        `opened` are the transfers that are pulled now, where the caller knows them.
        """
        flow = self._flows.get(session)
        if flow is None:
            return
        while room := flow.room:
            found = next(((t, u) for t, u in self._units[session] if u.pending), None)
            found = found or self._assign(session, now, opened)
            if found is None:
                return
            indices = found[1].take_pending(min(room, LARGEST_BATCH))
            if indices:
                yield session, self._request(session, *found, indices, now)

    def _request(
        self, session: int, transfer: Transfer, unit: Unit, indices: list[int], now: float
    ) -> GetChunks:
        tag = self._next_tag
        self._next_tag = (tag + 1) % (1 << 32)
        self._tags[tag] = (transfer.kind, transfer.id), unit.place, unit.number, session
        if len(self._tags) > TAGS_LIMIT:
            self._tags.popitem(last=False)
        self._flows[session].ask(tag, [(unit.number, index) for index in indices], now)
        return GetChunks(unit.kind, transfer.id, tag, _ranges(indices))

    def _ask_again(
        self, session: int, chunk: tuple[int, int], now: float
    ) -> list[tuple[int, Request]]:
        for transfer, unit in self._units[session]:
            if unit.number == chunk[0]:
                return [(session, self._request(session, transfer, unit, [chunk[1]], now))]
        return []

    def _assign(
        self, session: int, now: float, opened: list[Transfer] | None
    ) -> tuple[Transfer, Unit] | None:
        """Give a peer a unit to send: the rarest that nobody sends, else one to help with."""
        if self._units[session] and not self._flows[session].proven:
            return None  # first it has to show that it brings one
        opened = self._open(now) if opened is None else opened
        # Of all objects at once: the more pieces there are to choose from, the fewer peers ask
        # the only one that has them for the same.
        free = [(t, unit) for t in opened for unit in t.free_units(session, now)]
        if free:
            transfer, unit = min(
                free, key=lambda f: (not f[0].urgent, f[0].rarity(f[1]), self._rng.random())
            )
            unit.begin()
            return self._give(transfer, unit, session, now)
        for transfer in opened:
            helped = transfer.unit_to_help_with(session, now)
            if helped is not None:
                return self._give(transfer, helped, session, now)
        return None

    def _give(
        self, transfer: Transfer, unit: Unit, session: int, now: float
    ) -> tuple[Transfer, Unit]:
        if unit.is_of_one and set(unit.senders.values()) - {session}:
            self._clear(transfer, unit)
            unit.begin()
        unit.sources[session], unit.since[session] = 0, now
        transfer.note_busy(unit)
        self._units[session].append((transfer, unit))
        return transfer, unit

    def _open(self, now: float) -> list[Transfer]:
        """The transfers that are pulled at this time, most urgent first."""
        found: list[Transfer] = []
        held = 0
        for transfer in sorted(self._transfers.values(), key=lambda transfer: not transfer.urgent):
            if transfer.paused_until > now:
                self._come_back(transfer.paused_until)
                continue
            if (rested := transfer.next_rest_over(now)) is not None:
                self._come_back(rested)
            if not transfer.has_source(now) or (found and held + transfer.takes > ACTIVE_BYTES):
                continue
            found.append(transfer)
            held += transfer.takes
            if len(found) == ACTIVE_LIMIT:
                break
        return found

    def _look_for_slow(self, now: float) -> None:
        """Leave peers that keep a unit for longer than they need, where there is another peer."""
        if now < self._look_at:
            return
        self._look_at = now + LOOK_INTERVAL
        for session, units in self._units.items():
            patience = UNIT_TIME + 4 * self._flows[session].round_trip.timeout
            for transfer, unit in units[:]:
                allowed = patience + (unit.length or 0) / LEAST_RATE
                if unit.digest is not None:
                    allowed = patience + PIECE_BYTES / LEAST_RATE
                if session in unit.sources and now > unit.since[session] + allowed:
                    if transfer.has_other_source(unit, session, now):
                        self._rest(transfer, session, now)
                    else:
                        unit.since[session] = now

    def deadline(self) -> float | None:
        """When `pump` should be called at the latest."""
        times = [self._wake_at, *(flow.deadline() for flow in self._flows.values())]
        return min((time for time in times if time is not None), default=None)

    # Losses

    def _lost(self, session: int, chunks: Iterable[tuple[int, int]]) -> None:
        for number, index in chunks:
            self.asked_again += 1
            self.stale = True  # who helps with it may have room
            for _, unit in self._units[session]:
                if unit.number == number and index not in unit.chunks:
                    unit.pending.appendleft(index)

    def _late(self, session: int, chunks: list[tuple[int, int]], now: float) -> None:
        self._lost(session, chunks)
        numbers = {number for number, _ in chunks}
        # Who has brought nothing yet, or nothing since, is left sooner.
        makes_up = CHUNKS_PER_TIMEOUT * min(PATIENCE, self._flows[session].silences)
        for transfer, unit in [(t, u) for t, u in self._units[session] if u.number in numbers]:
            if session not in unit.sources:
                continue  # left with another part of the object
            unit.sources[session] += makes_up
            if unit.sources[session] < CHUNKS_PER_TIMEOUT * PATIENCE:
                continue
            if transfer.has_other_source(unit, session, now):
                # As if it had said that it lacks the object: the others have their turn first.
                self._rest(transfer, session, now)
                continue
            # Nobody else to ask: what came is kept, and other objects have their turn first.
            unit.sources[session] = 0
            if len(self._transfers) > 1:
                transfer.paused_until = now + PAUSE
                self._part(transfer, unit, session)
                self._transfers.move_to_end((transfer.kind, transfer.id))

    def _leave(self, transfer: Transfer, unit: Unit, session: int) -> None:
        """A peer does not send a unit any more; what came of it counts if others may go on."""
        self._part(transfer, unit, session)
        if unit.is_of_one:
            self._clear(transfer, unit)

    def _part(self, transfer: Transfer, unit: Unit, session: int) -> None:
        """A peer is not asked for a unit any more; others may be asked for what it was to send."""
        unit.sources.pop(session, None)
        unit.since.pop(session, None)
        self._units[session] = [(t, u) for t, u in self._units[session] if u is not unit]
        unit.pending.extend(self._flows[session].cancel(unit.number))
        if not unit.sources:
            transfer.note_free(unit)

    @staticmethod
    def _clear(transfer: Transfer, unit: Unit) -> None:
        """Forget what came of a unit."""
        unit.clear()
        if unit.digest is None:
            unit.length = unit.end = None
            if unit.kind is transfer.kind and transfer.length is not None:
                unit.learn_length(transfer.length)
        unit.begin()

    def _stop(self, transfer: Transfer, unit: Unit) -> None:
        """Nobody is asked for a unit any more."""
        for session in list(unit.sources):
            self._part(transfer, unit, session)

    def _end_units(self, transfer: Transfer) -> None:
        for unit in transfer.units.values():
            self._stop(transfer, unit)
        transfer.units, transfer.free = {}, 0

    def _drop_beyond_bytes(self) -> None:
        """Let go of what came of objects that pause or wait, where it takes too much memory."""
        if sum(transfer.size for transfer in self._transfers.values()) <= ACTIVE_BYTES:
            return
        room = ACTIVE_BYTES
        order = sorted(self._transfers.values(), key=lambda transfer: not transfer.urgent)
        for transfer in order:
            if transfer.is_under_way:
                room -= transfer.size
        for transfer in order:
            if transfer.received and not transfer.is_under_way:
                room -= transfer.received
                if room < 0:
                    transfer.pieces.clear()
                    transfer.hashes, transfer.held = None, 0
                    transfer.told.clear()
                    self._begin(transfer)

    def _come_back(self, at: float) -> None:
        self._wake_at = at if self._wake_at is None else min(at, self._wake_at)

    def _number(self) -> int:
        self._next_number += 1
        return self._next_number - 1


def _ranges(indices: list[int]) -> tuple[tuple[int, int], ...]:
    """The indices (ascending) as ranges; they are few enough for one request."""
    ranges: list[tuple[int, int]] = []
    for index in indices:
        if ranges and sum(ranges[-1]) == index:
            ranges[-1] = (ranges[-1][0], ranges[-1][1] + 1)
        else:
            ranges.append((index, 1))
    assert len(ranges) <= RANGES_LIMIT and len(indices) <= CHUNKS_LIMIT  # noqa: PT018
    return tuple(ranges)
