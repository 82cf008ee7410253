"""Catching up: headers first, then the blocks and payloads that the chain lacks."""

from collections.abc import Iterable
from dataclasses import dataclass

from edgenode.ledger.block import BLOCK_BYTES_LIMIT, Block
from edgenode.ledger.chain import Chain
from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.headers import Entry, UnknownParentError
from edgenode.ledger.rules import Rejected, Rule
from edgenode.protocol.instant import Instant
from edgenode.protocol.peer import Peer
from edgenode.protocol.pulls import Object, Pulls
from edgenode.protocol.wire import (
    HEADERS_LIMIT,
    LOCATOR_LIMIT,
    GetHeaders,
    Headers,
    ObjectKind,
)

HEADERS_AHEAD = 2000
"""Headers of one peer's branch taken up beyond the head before their blocks are here: they cost
memory, and a branch whose blocks nobody has should not fill it."""

PULLS_AHEAD = 16
"""Blocks and payloads asked for at a time."""

BARREN_TIME = 5.0
"""Seconds before a peer is asked again whose headers brought nothing new."""

ATTEMPTS = 6
"""Repetitions of a header request; at 40 % loss each way all seven fail once in 23 times."""

NOT_THE_PEERS_FAULT = {Rule.TIME_TOO_NEW}
"""Rules whose violation depends on this node's clock."""


@dataclass(slots=True)
class _Asking:
    give_up_at: float
    attempts: int


class CatchUp:
    """Decides what to ask of whom so that the chain reaches the heaviest known tip."""

    def __init__(self, chain: Chain, pulls: Pulls) -> None:
        self._chain = chain
        self._pulls = pulls
        self._asking: dict[int, _Asking] = {}
        self._barren: dict[int, float] = {}
        self._reached: dict[int, Entry] = {}

    def syncing(self, peers: Iterable[Peer]) -> bool:
        """Whether some peer claims to be more than a block ahead, and has headers to show."""
        head = self._chain.head
        return any(
            p.tip.work > head.work and p.tip.height > head.height + 1
            for p in peers
            if p.session not in self._barren
        )

    def ask_headers(self, peers: Iterable[Peer], now: Instant) -> list[tuple[Peer, GetHeaders]]:
        """Header requests to send now: one under way to each peer that claims more work."""
        best = self._chain.best_header()
        self._barren = {s: until for s, until in self._barren.items() if until > now.monotonic}
        requests = []
        for peer in peers:
            asking = self._asking.get(peer.session)
            if asking is not None:
                if now.monotonic < asking.give_up_at:
                    continue
            elif not self._has_more(peer):
                continue
            attempts = asking.attempts + 1 if asking else 0
            if attempts > ATTEMPTS:
                del self._asking[peer.session]
                self._barren[peer.session] = now.monotonic + BARREN_TIME
                continue
            patience = peer.flow.round_trip.timeout * 2 ** min(attempts, 4)
            self._asking[peer.session] = _Asking(now.monotonic + patience, attempts)
            # Go on where its branch was left, be that below our head or beside our branch: from
            # our own best header it would only say again what it said.
            known = self._reached.get(peer.session, best)
            requests.append((peer, GetHeaders(self._locator(known))))
        return requests

    def _has_more(self, peer: Peer) -> bool:
        """Whether the peer claims a heavier branch whose headers should be asked for now."""
        if self._chain.tree.get(peer.tip.head) is not None:
            self._reached.pop(peer.session, None)  # known to its end
            return False
        reached = self._reached.get(peer.session)
        return (
            peer.session not in self._barren
            and peer.tip.work > self._chain.head.work
            and (
                reached is None
                or reached.work <= self._chain.head.work  # nothing of it is pulled so far
                or reached.height <= self._chain.head.height + HEADERS_AHEAD
            )
        )

    def answer_headers(self, request: GetHeaders) -> Headers:
        """The headers of this node's chain that follow the locator."""
        start = 0
        for block_id in request.locator:
            entry = self._chain.tree.get(block_id)
            if entry is not None and self._chain.is_active(entry):
                start = entry.height
                break
        found = (self._chain.at(start + 1 + i) for i in range(HEADERS_LIMIT))
        return Headers(tuple(entry.header for entry in found if entry is not None))

    def take_headers(self, peer: Peer, message: Headers, now: Instant) -> None:
        """Take up headers that were asked for; others are passed over.

        Raises:
            Rejected: one of them violates a rule; the peer should have known.
        """
        if peer.session not in self._asking:
            return
        reached = self._take_headers(message, now)
        if reached is not None and reached is self._reached.get(peer.session):
            return  # the answer before, once more: the one that was asked for is on its way
        del self._asking[peer.session]
        if reached is not None:
            self._reached[peer.session] = reached
            self._barren.pop(peer.session, None)
        else:
            self._barren[peer.session] = now.monotonic + BARREN_TIME
            self._reached.pop(peer.session, None)

    def _take_headers(self, message: Headers, now: Instant) -> Entry | None:
        """Take up headers as far as they connect; returns the last one."""
        last = None
        for header in message.headers:
            try:
                last = self._chain.add_header(header, int(now.unix))
            except UnknownParentError:
                break
            except Rejected as rejected:
                if rejected.rule in NOT_THE_PEERS_FAULT:
                    break
                raise
        return last

    def want(self, peers: Iterable[Peer]) -> set[Object]:
        """Have pulled what the heaviest branches lack; returns what that is."""
        sessions = [peer.session for peer in peers]
        lacking = self._chain.wanted(PULLS_AHEAD)
        wanted: set[Object] = set()
        for block_id in lacking.blocks:
            self._pulls.want(ObjectKind.BLOCK, block_id, None, BLOCK_BYTES_LIMIT, sessions)
            wanted.add((ObjectKind.BLOCK, block_id))
        for update in lacking.updates:
            length = update.payload_length
            self._pulls.want(ObjectKind.PAYLOAD, update.payload, length, length, sessions)
            wanted.add((ObjectKind.PAYLOAD, update.payload))
        return wanted

    def take_block(self, wanted: bytes, data: bytes, now: Instant) -> Entry | None:
        """Take up a block that was pulled under this id; None if its parent is not known.

        Raises:
            MalformedError: it does not parse or is another block.
            Rejected: it violates a rule.
        """
        block = Block.decode(data)
        if block.id != wanted:
            raise MalformedError("another block than the one asked for")
        try:
            return self._chain.add_block(block, int(now.unix))
        except UnknownParentError:
            return None

    def forget(self, peer: Peer) -> None:
        """A session is over."""
        self._asking.pop(peer.session, None)
        self._barren.pop(peer.session, None)
        self._reached.pop(peer.session, None)

    def deadline(self) -> float | None:
        """When `ask_headers` should be called at the latest."""
        return min((asking.give_up_at for asking in self._asking.values()), default=None)

    def _locator(self, tip: Entry) -> tuple[bytes, ...]:
        """Ids of the tip's branch: the last ten, then at doubling distances, then genesis."""
        ids, distance, step = [], 0, 1
        for entry in tip.lineage():
            if tip.height - entry.height == distance:
                ids.append(entry.id)
                if len(ids) > 10:
                    step *= 2
                distance += step
                if len(ids) == LOCATOR_LIMIT - 1:
                    break
        return (*ids, self._chain.genesis.id)
