"""Catching up: headers first, then the blocks and payloads that the chain lacks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from edgenode.ledger.block import BLOCK_BYTES_LIMIT, Block
from edgenode.ledger.chain import Chain
from edgenode.ledger.completion import Wanted
from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.header_intake import TakenHeaders
from edgenode.ledger.headers import Entry, UnknownParentError
from edgenode.ledger.rules import Rejected, Rule
from edgenode.protocol.instant import Instant
from edgenode.protocol.peer import Peer
from edgenode.protocol.pulls import Pulls
from edgenode.protocol.transfer import Object
from edgenode.protocol.wire import (
    HEADERS_LIMIT,
    LOCATOR_LIMIT,
    GetHeaders,
    Headers,
    ObjectKind,
)

HEADERS_AHEAD = 2000
"""Headers of one peer's branch that an archive takes up beyond the head before their blocks are
here: a branch whose blocks nobody has should not fill the disk. Who may join at a state needs all
to find it; targets keep a branch to one header for each spacing."""

PULLS_AHEAD = 16
"""Blocks and payloads asked for at a time."""

CLAIMS_AHEAD = PULLS_AHEAD // 2
"""Heads that peers claim to have whose branches are pulled before others."""

PAST_AHEAD = 4
"""Blocks and payloads asked for at a time of what an archive lacks below its floor."""

BARREN_TIME = 5.0
"""Seconds before a peer is asked again that had no headers to show."""

KNOWN_PAUSE = 0.1
"""Seconds before a peer is asked to go on whose headers others have shown already: a peer may have
fallen in step with another one, or lead through what is known for ever."""

DOUBT_AFTER = 10.0
"""Seconds without an answer, or in which no block came, after which it is doubted that a peer has
the head that it claims."""

DOUBT_TIME = 600.0
"""Seconds for which heads that are not known here are then nothing to wait for, whoever claims
them at this host."""

DOUBTS_LIMIT = 256
"""Hosts that are doubted."""

ATTEMPTS = 6
"""Repetitions of a header request; at 40 % loss each way all seven fail once in 23 times."""

NOT_THE_PEERS_FAULT = {Rule.TIME_TOO_NEW, Rule.BELOW_FINAL}
"""Rules whose violation depends on this node's clock, or on what it knows to be final: a peer may
not have heard of it yet."""


@dataclass(slots=True)
class _Asking:
    """A header request under way: asked at `since`, repeated at `give_up_at`."""

    since: float
    give_up_at: float
    attempts: int


class _Awaited(NamedTuple):
    """On which own head, and since when, a peer's head is waited for."""

    on: Entry
    since: float


class Brought(NamedTuple):
    """The last header of a peer's answers that was new here, and when it came."""

    entry: Entry
    at: float


class CatchUp:
    """Decides what to ask of whom so that the chain reaches the best tip that somebody has."""

    def __init__(self, chain: Chain, pulls: Pulls) -> None:
        self._chain = chain
        self._pulls = pulls
        self._asking: dict[int, _Asking] = {}
        self._left_alone: dict[int, float] = {}
        self._reached: dict[int, Entry] = {}
        self._brought: dict[int, Brought] = {}
        self._awaited: dict[int, _Awaited] = {}
        self._doubted: dict[str, float] = {}
        self.asked_again = 0
        """Requests for headers that were repeated, for no answer came."""

    def syncing(self, peers: Iterable[Peer]) -> bool:
        """Whether there is a heavier branch that is more than a block higher than the chain."""
        chain = self._chain
        return chain.best_header().height > chain.head.height + 1 or self._claimed_ahead(peers)

    def goes_on(self, peers: Iterable[Peer]) -> bool:
        """Whether the head is on the way to a block that others have, more than one above it.

        Only peers that claim such a head say so, not its headers: nobody may have the blocks. Nor
        does a branch beside the head.
        """
        chain, tree = self._chain, self._chain.tree
        known = (tree.get(peer.tip.head) for peer in self._believed(peers))
        return self._claimed_ahead(peers) or any(
            entry is not None
            and entry.height > chain.head.height + 1
            and chain.is_candidate(entry)
            and chain.fork(entry) == chain.head
            for entry in known
        )

    def _believed(self, peers: Iterable[Peer]) -> Iterator[Peer]:
        return (peer for peer in peers if peer.address.host not in self._doubted)

    def _claimed_ahead(self, peers: Iterable[Peer]) -> bool:
        """Whether a peer claims to be more than a block ahead, and has not failed to show it.

        Else one peer that lies would keep all members from endorsing for ever.
        """
        return any(
            self._claims_more(peer) and peer.tip.height > self._chain.head.height + 1
            for peer in self._believed(peers)
        )

    def brought(self, peer: Peer) -> Brought | None:
        """What a peer has shown that was new; None if nothing, or it claims nothing unknown."""
        return self._brought.get(peer.session) if self._claims_more(peer) else None

    def _claims_more(self, peer: Peer) -> bool:
        """Whether a peer claims a better head that is not known here."""
        return (
            peer.tip.rank > self._chain.state.rank and self._chain.tree.get(peer.tip.head) is None
        )

    def ask_headers(self, peers: Iterable[Peer], now: Instant) -> list[tuple[Peer, GetHeaders]]:
        """Header requests to send now: one under way to each peer that claims a better head."""
        best, head = self._chain.best_header(), self._chain.head
        self._forget_past(now.monotonic)
        requests = []
        for peer in peers:
            if peer.tip.head == head.id and peer.session not in self._asking:
                # Most of them, most of the time.
                self._awaited.pop(peer.session, None)
                self._reached.pop(peer.session, None)
                continue
            self._await_head(peer, now)
            asking = self._asking.get(peer.session)
            if asking is not None:
                if now.monotonic > asking.since + DOUBT_AFTER:
                    self._doubt(peer, now)
                if now.monotonic < asking.give_up_at:
                    continue
            elif not self._has_more(peer):
                continue
            attempts = asking.attempts + 1 if asking else 0
            if attempts > ATTEMPTS:
                self._is_barren(peer, now)
                continue
            self.asked_again += attempts > 0
            patience = peer.flow.round_trip.timeout * 2 ** min(attempts, 4)
            self._asking[peer.session] = _Asking(
                asking.since if asking else now.monotonic, now.monotonic + patience, attempts
            )
            # Go on where its branch was left, be that below our head or beside our branch: from
            # our own best header it would only say again what it said.
            known = self._reached.get(peer.session, best)
            if self._chain.tree.get(known.id) is None:
                # It was cut since: refused, or beside what is final.
                del self._reached[peer.session]
                known = best
            requests.append((peer, GetHeaders(self._locator(known))))
        return requests

    def _await_head(self, peer: Peer, now: Instant) -> None:
        """Doubt a peer that says that it has a head whose blocks do not come."""
        entry = self._chain.tree.get(peer.tip.head)
        if entry is None or not self._chain.is_candidate(entry):
            self._awaited.pop(peer.session, None)
            return
        awaited = self._awaited.get(peer.session)
        if awaited is None or awaited.on != self._chain.head:
            self._awaited[peer.session] = _Awaited(self._chain.head, now.monotonic)
        elif now.monotonic > awaited.since + DOUBT_AFTER:
            self._doubt(peer, now)

    def _has_more(self, peer: Peer) -> bool:
        """Whether the peer claims a heavier branch whose headers should be asked for now."""
        if self._chain.tree.get(peer.tip.head) is not None:
            self._reached.pop(peer.session, None)  # known to its end
            return False
        reached = self._reached.get(peer.session)
        return (
            peer.session not in self._left_alone
            and peer.tip.rank > self._chain.state.rank
            and (
                reached is None
                or reached.work <= self._chain.head.work  # nothing of it is pulled so far
                or not self._chain.keeps_all
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
        return Headers(b"".join(entry.header.encode() for entry in found if entry is not None))

    def take_headers(self, peer: Peer, message: Headers, now: Instant) -> None:
        """Take up headers that were asked for; others are passed over.

        Raises:
            Rejected: one of them violates a rule; the peer should have known.
        """
        if peer.session not in self._asking:
            return
        taken = self._take_headers(message, now)
        last, before = taken.last, self._reached.get(peer.session)
        if last is None:
            self._is_barren(peer, now)
            return
        if not taken.new and before is not None and last.work <= before.work:
            return  # an answer from before, once more: the one that was asked for is on its way
        del self._asking[peer.session]
        self._reached[peer.session] = last
        if taken.new:
            self._left_alone.pop(peer.session, None)
            self._brought[peer.session] = Brought(last, now.monotonic)
            return
        self._left_alone[peer.session] = now.monotonic + KNOWN_PAUSE
        if last.height <= self._chain.head.height:
            self._doubt(peer, now)

    def _take_headers(self, message: Headers, now: Instant) -> TakenHeaders:
        """Take up headers as far as they connect."""
        taken = self._chain.add_headers(message.headers, int(now.unix))
        if isinstance(taken.fault, Rejected) and taken.fault.rule not in NOT_THE_PEERS_FAULT:
            raise taken.fault
        return taken

    def _is_barren(self, peer: Peer, now: Instant) -> None:
        """A peer has nothing to show; the next time it begins anew."""
        del self._asking[peer.session]
        self._reached.pop(peer.session, None)
        self._left_alone[peer.session] = now.monotonic + BARREN_TIME
        self._doubt(peer, now)

    def _doubt(self, peer: Peer, now: Instant) -> None:
        host = peer.address.host
        self._doubted.setdefault(host, now.monotonic + DOUBT_TIME)
        if len(self._doubted) > DOUBTS_LIMIT:
            del self._doubted[next(iter(self._doubted))]

    def _forget_past(self, now: float) -> None:
        self._left_alone = {s: until for s, until in self._left_alone.items() if until > now}
        self._doubted = {host: until for host, until in self._doubted.items() if until > now}

    def want(self, peers: Iterable[Peer]) -> set[Object]:
        """Have pulled what the branches lack that might be better; returns what that is."""
        peers = list(peers)
        sessions = [peer.session for peer in peers]
        for head, justified in {(peer.tip.head, peer.tip.justified) for peer in peers}:
            self._chain.promise(head, justified)
        lacking = self._chain.wanted(PULLS_AHEAD, self._claimed(peers))
        # Who has no better head lacks the same, and would be asked in vain.
        rank = self._chain.state.rank
        ahead = [peer.session for peer in peers if peer.tip.rank > rank]
        wanted = self._pull(lacking, ahead or sessions, urgent=True)
        if self._chain.keeps_all and not self._chain.past.is_whole:
            wanted |= self._pull(self._chain.past.wanted(PAST_AHEAD), sessions, urgent=False)
        return wanted

    def _pull(self, lacking: Wanted, sessions: list[int], *, urgent: bool) -> set[Object]:
        objects: set[Object] = set()
        for block_id in lacking.blocks:
            block = (ObjectKind.BLOCK, block_id)
            self._pulls.want(*block, None, BLOCK_BYTES_LIMIT, sessions, urgent=urgent)
            objects.add(block)
        for update in lacking.updates:
            length, payload = update.payload_length, (ObjectKind.PAYLOAD, update.payload)
            self._pulls.want(*payload, length, length, sessions, urgent=urgent)
            objects.add(payload)
        return objects

    def _claimed(self, peers: Iterable[Peer]) -> list[Entry]:
        """What peers say that they have, of what might be better, heaviest first.

        Headers without blocks cost their proof of work only: heavier ones of somebody quick must
        not keep the ward's own blocks from being pulled.
        """
        heads = dict.fromkeys(peer.tip.head for peer in self._believed(peers))
        known = (self._chain.tree.get(head) for head in heads)
        candidates = [e for e in known if e is not None and self._chain.is_candidate(e)]
        return sorted(candidates, key=lambda entry: -entry.work)[:CLAIMS_AHEAD]

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
        self._left_alone.pop(peer.session, None)
        self._reached.pop(peer.session, None)
        self._brought.pop(peer.session, None)
        self._awaited.pop(peer.session, None)

    def deadline(self) -> float | None:
        """When `ask_headers` should be called at the latest."""
        times = (asking.give_up_at for asking in self._asking.values())
        return min((*times, *self._left_alone.values()), default=None)

    def _locator(self, tip: Entry) -> tuple[bytes, ...]:
        """Ids of the tip's branch: the last ten, then at doubling distances, then genesis."""
        ids: list[bytes] = []
        height, step = tip.height, 1
        while height >= 0 and len(ids) < LOCATOR_LIMIT - 1:
            tip = self._chain.tree.ancestor(tip, height)
            ids.append(tip.id)
            if len(ids) > 10:
                step *= 2
            height -= step
        return (*ids, self._chain.genesis.id)
