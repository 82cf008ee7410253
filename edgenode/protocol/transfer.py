"""What is here of an object that is pulled: units that come from peers, pieces that were checked.

An object of more than one piece is pulled piece by piece, from any number of peers at a time: first
the list of its pieces' hashes, which its content id covers (docs/ledger.md), then the pieces in any
order. All else is one unit, from one peer, that its asker checks as a whole.
"""

import hashlib
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from edgenode.ledger.hashes import PIECE_BYTES
from edgenode.protocol.wire import CHUNKS_PER_PIECE, ObjectKind, chunk_count

FIRST_CHUNKS = 4
"""Chunks asked for while an object's length is unknown: a usual block, the hashes of 141 pieces."""

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
    `sources` are the sessions that are asked for it, with the chunks that each has to make up for.
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
    senders: set[int] = field(default_factory=set)
    alone: bool = False
    """Whether it must come from one peer, for chunks of several did not fit together."""

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

    @property
    def received(self) -> int:
        """Bytes that are here."""
        return sum(map(len, self.chunks.values()))


@dataclass(slots=True, eq=False)
class Transfer:
    """An object that is pulled.

    `length` in bytes if it is known, `limit` the most that it may have. `sources` are sessions said
    to have all of it, each with the time before which it is not asked; `holdings` says of others
    which pieces they have, one bit each.
    """

    kind: ObjectKind
    id: bytes
    length: int | None
    limit: int
    urgent: bool
    sources: "OrderedDict[int, float]" = field(default_factory=OrderedDict)
    holdings: dict[int, int] = field(default_factory=dict)
    paused_until: float = float("-inf")
    units: list[Unit] = field(default_factory=list)
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
    def received(self) -> int:
        """Bytes that are here."""
        whole = sum(map(len, self.pieces.values()))
        return whole + sum(unit.received for unit in self.units)

    def learn_hashes(self, raw: bytes, number: int) -> bool:
        """Take the list of hashes, and make units of its pieces, numbered from `number` on.

        Returns:
            Whether it is that of an object with this id, and not too long.
        """
        length = int.from_bytes(raw[:LENGTH_BYTES], "little")
        count = -(-length // PIECE_BYTES)
        if hashlib.sha256(raw).digest() != self.id or not 0 < length <= self.limit:
            return False
        if len(raw) != LENGTH_BYTES + DIGEST_BYTES * count:
            return False
        if self.length not in {None, length}:
            return False
        self.hashes, self.length = raw, length
        self.copies = [0] * count
        for session, held in list(self.holdings.items()):
            self.holdings[session] = 0
            self.note_held(session, held)
        self.units = [
            Unit(
                number + piece,
                self.kind,
                piece * CHUNKS_PER_PIECE,
                min((piece + 1) * CHUNKS_PER_PIECE, chunk_count(length)),
                raw[LENGTH_BYTES + DIGEST_BYTES * piece :][:DIGEST_BYTES],
                length,
            )
            for piece in range(count)
        ]
        return True

    def note_held(self, session: int, held: int) -> None:
        """A peer says which pieces it has, one bit each; it does not lose them."""
        held &= (1 << len(self.copies)) - 1 if self.hashes is not None else (1 << 1024) - 1
        new = held & ~self.holdings.get(session, 0)
        self.holdings[session] = self.holdings.get(session, 0) | held
        for piece in range(len(self.copies)):
            self.copies[piece] += new >> piece & 1

    def forget(self, session: int) -> None:
        """A session is over."""
        self.set_aside(session)
        self.sources.pop(session, None)
        self.told.pop(session, None)
        self.interested.discard(session)

    def may_ask(self, session: int, unit: Unit, now: float) -> bool:
        """Whether a peer is said to have a unit."""
        if self.sources.get(session, float("inf")) <= now:
            return True
        if self.hashes is None:
            return unit.kind is ObjectKind.PIECES and session in self.holdings
        return bool(self.holdings.get(session, 0) >> (unit.first // CHUNKS_PER_PIECE) & 1)

    def has_source(self, now: float) -> bool:
        """Whether there is anybody to ask for any of it."""
        return any(until <= now for until in self.sources.values()) or any(self.holdings.values())

    def set_aside(self, session: int) -> None:
        """A peer does not have what it said that it has."""
        held = self.holdings.pop(session, 0)
        for piece in range(len(self.copies)):
            self.copies[piece] -= held >> piece & 1

    def rarity(self, unit: Unit) -> int:
        """How many peers with a part of it have this unit; the fewer, the sooner it is pulled."""
        return self.copies[unit.first // CHUNKS_PER_PIECE] if self.copies else 0

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

    def keep(self, unit: Unit) -> None:
        """A unit of a piece is whole and right."""
        piece = unit.first // CHUNKS_PER_PIECE
        self.pieces[piece] = unit.data()
        self.held |= 1 << piece
        self.units.remove(unit)

    def data(self) -> bytes:
        """The object, once all pieces are here."""
        return b"".join(self.pieces[piece] for piece in range(len(self.pieces)))

    @property
    def is_whole(self) -> bool:
        """Whether all pieces are here."""
        return self.hashes is not None and len(self.pieces) == len(self.copies)
