"""What is given to others: blocks and objects by chunks, and word of what is here."""

from collections import OrderedDict
from collections.abc import Callable

from edgenode.ledger.chain import Chain
from edgenode.ledger.hashes import piece_hashes, piece_list
from edgenode.protocol.budget import Budget
from edgenode.protocol.pulls import Pulls
from edgenode.protocol.wire import (
    Absent,
    Chunk,
    GetChunks,
    Holding,
    Holdings,
    ObjectKind,
    chunk_span,
)

SERVED_LIMIT = 64
SERVED_BYTES = 32 << 20
"""Objects kept at hand while their chunks are asked for, and their bytes, as far as there is more
than one: a miss costs one read of the store."""

READS_PER_SECOND = 20.0
READS_AT_ONCE = 200
"""Objects that are read from the store for a peer; what is at hand costs nothing."""

TOLD_LIMIT = 1024
"""Sessions with objects that they were told to be here."""

Find = Callable[[ObjectKind, bytes], bytes | None]


class Serving:
    """Answers requests from the chain, and from what is pulled at the time."""

    def __init__(self, chain: Chain, pulls: Pulls) -> None:
        self._chain = chain
        self._pulls = pulls
        self._at_hand: OrderedDict[tuple[ObjectKind, bytes], bytes] = OrderedDict()
        self._reads: dict[int, Budget] = {}
        self._told: OrderedDict[tuple[int, bytes], None] = OrderedDict()

    def forget(self, session: int) -> None:
        """A session is over."""
        self._reads.pop(session, None)

    def find(self, kind: ObjectKind, name: bytes) -> bytes | None:
        """An object that is here as a whole; None if it is not, or the disk has altered it."""
        key = (kind, name)
        if key in self._at_hand:
            self._at_hand.move_to_end(key)
            return self._at_hand[key]
        served = self._chain.served
        match kind:
            case ObjectKind.BLOCK:
                block = served.block(name)
                data = None if block is None else block.encode()
            case ObjectKind.PAYLOAD:
                data = served.payload(name)
            case ObjectKind.STATE:
                data = served.state(name)
            case ObjectKind.PARAMETERS:
                data = served.parameters(name)
            case ObjectKind.PIECES:
                reads = (served.payload, served.state, served.parameters)
                whole = next((each for each in (read(name) for read in reads) if each), None)
                data = None if whole is None else piece_list(len(whole), piece_hashes(whole))
        if data is not None:
            self._at_hand[key] = data
            while len(self._at_hand) > 1 and (
                len(self._at_hand) > SERVED_LIMIT
                or sum(map(len, self._at_hand.values())) > SERVED_BYTES
            ):
                self._at_hand.popitem(last=False)
        return data

    def answer(
        self, request: GetChunks, session: int, find: Find, now: float
    ) -> list[Chunk | Absent]:
        """The chunks that a peer asked for, as far as they are here; `now` in seconds.

        None while it asks for more objects than are read for one peer.
        """
        if (request.kind, request.id) not in self._at_hand:
            reads = self._reads.setdefault(session, Budget(READS_PER_SECOND, READS_AT_ONCE, now))
            if not reads.take(1, now):
                return []
        sent = int(now * 1e6) % (1 << 32)
        whole = find(request.kind, request.id)
        chunks: list[Chunk | Absent] = []
        for first, count in request.ranges:
            for index in range(first, first + count):
                if whole is not None:
                    start, end = chunk_span(len(whole), index)
                    part = len(whole), whole[start:end]
                else:
                    part = self._pulls.part(request.kind, request.id, index) or (0, b"")
                if part[1]:
                    chunks.append(Chunk(request.tag, index, part[0], sent, part[1]))
        if whole is None and not chunks:
            return [Absent(request.kind, request.id)]
        return chunks

    def take_holdings(self, session: int, message: Holdings, now: float) -> Holdings | None:
        """A peer pulls objects, or has them; where all of one is here it is told so, once."""
        told = []
        for holding in message.holdings:
            if self._pulls.holding(session, holding, now):
                continue
            key, whole = (session, holding.id), (1 << holding.pieces) - 1
            if holding.held == whole or key in self._told or not self._has(holding):
                continue
            self._told[key] = None
            if len(self._told) > TOLD_LIMIT:
                self._told.popitem(last=False)
            told.append(Holding(holding.kind, holding.id, holding.pieces, whole))
        return Holdings(tuple(told)) if told else None

    def _has(self, holding: Holding) -> bool:
        # Who pulls a state or parameters asks everybody.
        return holding.kind is ObjectKind.PAYLOAD and self._chain.has_payload(holding.id)
