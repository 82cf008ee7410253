"""What is here of an object that is pulled: units that come from peers, pieces that were checked.

An object of more than one piece is pulled piece by piece, from any number of peers at a time: first
the list of its pieces' hashes, which its content id covers (docs/ledger.md), then the pieces in any
order. All else is one unit, from one peer, that its asker checks as a whole.
"""

import hashlib
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from edgenode.ledger.hashes import PIECE_BYTES
from edgenode.protocol.wire import CHUNKS_PER_PIECE, ObjectKind, chunk_count

FIRST_CHUNKS = 4
"""Chunks asked for while an object's length is unknown: a usual block, the hashes of 141 pieces."""

REST = 5.0
LONGEST_REST = 60.0
"""Seconds before a peer that lacked an object is asked for it again; doubled each time."""

FRESH = 2.0
"""Seconds for which what a peer says of its pieces counts, and not what it is taken to have."""

KEPT_FROM_BYTES = 1 << 20
"""Of this length on what came of an object outlasts a restart: what is shorter comes in seconds,
and a card is not written twice for it."""

LENGTH_BYTES = 4
DIGEST_BYTES = 32

CONTENT = frozenset({ObjectKind.PAYLOAD, ObjectKind.STATE, ObjectKind.PARAMETERS})
"""Objects that are named by their content id."""

Object = tuple[ObjectKind, bytes]


@dataclass(slots=True, eq=False)
class Unit:
    """A part of an object that is checked as a whole: chunks from `first` to before `end`.

    `digest` is the SHA-256 that it must have; None where its asker checks it, and then it comes
    from one peer, so that a wrong one has one culprit. `end` is None until the length is known.
    `sources` are the sessions that are asked for it, with the chunks that each has to make up for,
    and `since` when they were first.
    """

    number: int
    kind: ObjectKind
    first: int
    end: int | None
    digest: bytes | None
    length: int | None = None
    chunks: dict[int, bytes] = field(default_factory=dict)
    pending: deque[int] = field(default_factory=deque)
    sources: dict[int, int] = field(default_factory=dict)
    since: dict[int, float] = field(default_factory=dict)
    senders: dict[int, int] = field(default_factory=dict)
    """Who sent each chunk."""
    suspects: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    """Chunks with their senders that did not fit together: the right ones will show who lied."""
    alone: bool = False
    """Whether it must come from one peer, for chunks of several did not fit together."""

    @property
    def place(self) -> int:
        """The number of its piece."""
        return self.first // CHUNKS_PER_PIECE

    @property
    def is_of_one(self) -> bool:
        """Whether all of it must come from one peer."""
        return self.digest is None or self.alone

    def begin(self) -> None:
        """Have all its chunks asked for that are not here."""
        end = self.first + FIRST_CHUNKS if self.end is None else self.end
        self.pending = deque(i for i in range(self.first, end) if i not in self.chunks)

    def learn_length(self, length: int) -> None:
        """The first chunk has told how long it is (bytes)."""
        self.length, self.end = length, chunk_count(length)
        asked = self.first + FIRST_CHUNKS
        self.pending = deque(i for i in self.pending if i < self.end)
        self.pending.extend(range(asked, self.end))

    def take_pending(self, count: int) -> list[int]:
        """Chunks to ask for now, ascending."""
        indices: list[int] = []
        while self.pending and len(indices) < count:
            index = self.pending.popleft()
            if index not in self.chunks:
                indices.append(index)
        return sorted(indices)

    def is_whole(self) -> bool:
        """Whether all chunks are here."""
        return self.end is not None and len(self.chunks) == self.end - self.first

    def data(self) -> bytes:
        """Its bytes, once it is whole."""
        assert self.end is not None, "it is whole"
        return b"".join(self.chunks[index] for index in range(self.first, self.end))

    def clear(self) -> None:
        """Forget what came."""
        self.chunks.clear()
        self.pending.clear()
        self.senders.clear()

    def is_right(self, data: bytes) -> bool:
        """Whether its bytes have the digest that they must have."""
        return hashlib.sha256(data).digest() == self.digest

    def suspect(self) -> None:
        """It came from several and is wrong."""
        self.suspects = {i: (self.senders[i], data) for i, data in self.chunks.items()}

    def liars(self) -> set[int]:
        """Sessions that sent other chunks than the right ones, which are here now."""
        return {sender for i, (sender, data) in self.suspects.items() if data != self.chunks[i]}

    @property
    def received(self) -> int:
        """Bytes that are here."""
        return sum(map(len, self.chunks.values()))


class PieceStore(Protocol):
    """Where pieces of large objects outlast a restart."""

    def recall(self, kind: ObjectKind, name: bytes, hashes_bytes: int) -> tuple[bytes, list[bytes]]:
        """The list of hashes and the pieces as they were kept; nothing of it is checked."""

    def keep(self, kind: ObjectKind, name: bytes, place: int, data: bytes, hashes: bytes) -> None:
        """Keep a piece, whose object has this list of hashes."""


class Hashes(Enum):
    """What is to be thought of a list of hashes."""

    TAKEN = 0
    UNFIT = 1
    """The object's, but that is not what was wanted: its length is another one."""
    WRONG = 2


@dataclass(slots=True, eq=False)
class Transfer:
    """An object that is pulled.

    `length` in bytes if it is known, `limit` the most that it may have. `sources` are sessions said
    to have all of it; `holdings` says of peers which pieces they have, one bit each.
    """

    kind: ObjectKind
    id: bytes
    length: int | None
    limit: int
    urgent: bool
    sources: "OrderedDict[int, None]" = field(default_factory=OrderedDict)
    holdings: dict[int, int] = field(default_factory=dict)
    heard: dict[int, float] = field(default_factory=dict)
    """When a peer said last what it has."""
    rests: dict[int, tuple[float, float]] = field(default_factory=dict)
    """Until when a peer is left alone, and for how long it was."""
    paused_until: float = float("-inf")
    units: dict[int, Unit] = field(default_factory=dict)
    """What is not here, by the number of the piece; the only unit of what is not pieced is 0."""
    free: int = 0
    """The units that nobody is asked for, one bit each."""
    hashes: bytes | None = None
    """The list of hashes as it is pulled; None until it is here, or for an object of one unit."""
    pieces: dict[int, bytes] = field(default_factory=dict)
    held: int = 0
    copies: list[int] = field(default_factory=list)
    """How many of the `holdings` have each piece."""
    told: dict[int, int] = field(default_factory=dict)
    """What the sessions were told of `held`."""
    interested: set[int] = field(default_factory=set)
    announce_at: float = float("-inf")

    @property
    def is_pieced(self) -> bool:
        """Whether it is pulled piece by piece."""
        return self.kind in CONTENT and (self.length is None or self.length > PIECE_BYTES)

    @property
    def size(self) -> int:
        """The bytes that it may take."""
        return self.limit if self.length is None else self.length

    @property
    def takes(self) -> int:
        """The bytes of memory to keep for it; until the hashes are here only theirs come."""
        return self.hashes_bytes if self.is_pieced and self.hashes is None else self.size

    @property
    def received(self) -> int:
        """Bytes that are here."""
        whole = sum(map(len, self.pieces.values()))
        return whole + sum(unit.received for unit in self.units.values())

    @property
    def is_under_way(self) -> bool:
        """Whether somebody is asked for some of it."""
        return any(unit.sources for unit in self.units.values())

    def asks(self, session: int) -> bool:
        """Whether this peer is asked for some of it."""
        return any(session in unit.sources for unit in self.units.values())

    @property
    def hashes_bytes(self) -> int:
        """The most that the list of hashes may have, or what it has if the length is known."""
        return LENGTH_BYTES + DIGEST_BYTES * -(-self.size // PIECE_BYTES)

    def learn_hashes(self, raw: bytes, number: int) -> Hashes:
        """Take the list of hashes, and make units of its pieces, numbered from `number` on."""
        length = int.from_bytes(raw[:LENGTH_BYTES], "little")
        count = -(-length // PIECE_BYTES)
        if hashlib.sha256(raw).digest() != self.id:
            return Hashes.WRONG
        if len(raw) != LENGTH_BYTES + DIGEST_BYTES * count or not 0 < length <= self.limit:
            return Hashes.UNFIT
        if self.length not in {None, length}:
            return Hashes.UNFIT
        self.hashes, self.length = raw, length
        self.copies = [0] * count
        for session, held in list(self.holdings.items()):
            self.holdings[session] = 0
            self.note_held(session, held, self.heard[session])
        self.units = {
            piece: Unit(
                number + piece,
                self.kind,
                piece * CHUNKS_PER_PIECE,
                min((piece + 1) * CHUNKS_PER_PIECE, chunk_count(length)),
                raw[LENGTH_BYTES + DIGEST_BYTES * piece :][:DIGEST_BYTES],
                length,
            )
            for piece in range(count)
        }
        self.free = (1 << count) - 1
        return Hashes.TAKEN

    @property
    def outlasts(self) -> bool:
        """Whether its pieces are worth keeping over a restart."""
        return self.is_pieced and self.size >= KEPT_FROM_BYTES

    def resume(self, kept: PieceStore, number: int) -> int:
        """Go on with what was kept of it; returns how many units were numbered from `number` on.

        One piece is left to pull in any case, by which it becomes whole as it always does.
        """
        raw, pieces = kept.recall(self.kind, self.id, self.hashes_bytes)
        if self.learn_hashes(raw, number) is not Hashes.TAKEN:
            return 0
        count = len(self.units)
        for unit in self.units.values():
            unit.begin()
        for place, data in enumerate(pieces):
            unit = self.units[place]
            if len(self.units) > 1 and unit.is_right(data):
                self.keep(unit, data)
        return count

    def note_held(self, session: int, held: int, now: float) -> None:
        """A peer says which pieces it has, one bit each; it does not lose them."""
        if not self.is_pieced:
            return
        if self.hashes is not None:
            held &= (1 << len(self.copies)) - 1
            for piece in _bits(held & ~self.holdings.get(session, 0)):
                self.copies[piece] += 1
        self.holdings[session] = self.holdings.get(session, 0) | held
        self.heard[session] = now

    def forget(self, session: int) -> None:
        """A session is over."""
        held = self.holdings.pop(session, 0)
        if self.hashes is not None:
            for piece in _bits(held):
                self.copies[piece] -= 1
        for known in (self.sources, self.heard, self.told, self.rests):
            known.pop(session, None)
        self.interested.discard(session)

    def let_rest(self, session: int, now: float) -> None:
        """A peer does not give what it was asked for: leave it alone, each time for longer."""
        _, pause = self.rests.get(session, (0.0, REST / 2))
        pause = min(LONGEST_REST, 2 * pause)
        self.rests[session] = now + pause, pause

    def free_units(self, session: int, now: float) -> Iterator[Unit]:
        """The units to ask this peer for that nobody is asked for."""
        candidates = self.free & self._has(session, now)
        return (self.units[place] for place in _bits(candidates))

    def rarity(self, unit: Unit) -> int:
        """How many peers with a part of it have this unit; -1 for what comes before all pieces."""
        return -1 if unit.digest is None else self.copies[unit.place]

    def unit_to_help_with(self, session: int, now: float) -> Unit | None:
        """A piece that others are asked for, with chunks that nobody was asked for yet."""
        if self.hashes is None:
            return None
        busy = (1 << len(self.copies)) - 1 & ~self.held & ~self.free
        for piece in _bits(self._has(session, now) & busy):
            unit = self.units[piece]
            if unit.pending and not unit.is_of_one and session not in unit.sources:
                return unit
        return None

    def _has(self, session: int, now: float) -> int:
        """The units that a peer is said to have and may be asked for, one bit each."""
        if self.rests.get(session, (0.0, 0.0))[0] > now:
            return 0
        held = self.holdings.get(session, 0)
        # What it says itself counts for more than what others take it to have.
        says = session in self.heard and now <= self.heard[session] + FRESH
        if session in self.sources and not (says and self.hashes is not None):
            return -1
        if self.hashes is None:
            return int(held > 0)  # who has a piece has the hashes
        return held

    def has_source(self, now: float) -> bool:
        """Whether there is anybody to ask for any of it."""
        return any(self._has(s, now) for s in (*self.sources, *self.holdings))

    def has_other_source(self, unit: Unit, session: int, now: float) -> bool:
        """Whether there is anybody else to ask for a unit."""
        others = (s for s in (*self.sources, *self.holdings) if s != session)
        return any(self._has(other, now) >> unit.place & 1 for other in others)

    def next_rest_over(self, now: float) -> float | None:
        """When somebody may be asked again who is left alone."""
        return min((until for until, _ in self.rests.values() if until > now), default=None)

    def news_for(self) -> list[int]:
        """Peers that pull it, too, and lack a piece that they do not know to be here."""
        return [
            session
            for session in self.interested
            if self.held & ~self.told.get(session, 0) & ~self.holdings.get(session, 0)
            or session not in self.told
        ]

    def has_news(self) -> bool:
        """Whether there is anybody to tell of a piece."""
        return bool(self.news_for())

    def keep(self, unit: Unit, data: bytes) -> None:
        """A unit of a piece is whole and right."""
        piece = unit.place
        self.pieces[piece] = data
        unit.chunks.clear()
        self.held |= 1 << piece
        self.free &= ~(1 << piece)
        del self.units[piece]

    def wants(self, unit: Unit) -> bool:
        """Whether a unit is still one of this object's."""
        return self.units.get(unit.place) is unit

    def note_busy(self, unit: Unit) -> None:
        """Somebody is asked for a unit."""
        self.free &= ~(1 << unit.place)

    def note_free(self, unit: Unit) -> None:
        """Nobody is asked for a unit."""
        if self.wants(unit):
            self.free |= 1 << unit.place

    def data(self) -> bytes:
        """The object, once all pieces are here."""
        return b"".join(self.pieces[piece] for piece in range(len(self.pieces)))

    @property
    def is_whole(self) -> bool:
        """Whether all pieces are here."""
        return self.hashes is not None and len(self.pieces) == len(self.copies)


def _bits(mask: int) -> Iterator[int]:
    """The places of the bits that are set, lowest first."""
    while mask > 0:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
