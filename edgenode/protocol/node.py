"""A node: the chain, the mempool and the sessions, driven by datagrams, requests and time."""

import logging
import random
from collections import Counter
from collections.abc import Iterable, Sequence

from edgenode.ledger import block_share
from edgenode.ledger.block import Block
from edgenode.ledger.chain import Chain
from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.endorsement import Endorsement
from edgenode.ledger.enrolment import Enrolment, Revocation
from edgenode.ledger.hashes import content_id, display
from edgenode.ledger.head_change import HeadChange
from edgenode.ledger.headers import UnknownParentError, earliest_time
from edgenode.ledger.joining import UnprovenError
from edgenode.ledger.keys import MemberKey
from edgenode.ledger.mempool import Mempool
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.template import Template, build_template
from edgenode.ledger.transaction import Transaction, Transfer, Update
from edgenode.ledger.vows import Voter
from edgenode.protocol import catch_up, relay
from edgenode.protocol.adoptions import Adoptions
from edgenode.protocol.catch_up import CatchUp
from edgenode.protocol.events import Event, HeadMoved, PeerBlamed, PeerRevoked, PoolChanged, Refused
from edgenode.protocol.instant import Instant
from edgenode.protocol.joining import Joining
from edgenode.protocol.layout import Layout
from edgenode.protocol.links import Links, Local
from edgenode.protocol.peer import Peer
from edgenode.protocol.pulls import Completed, Pulls, Request
from edgenode.protocol.relay import Relay, WaitingStore
from edgenode.protocol.roles import Role, Roles
from edgenode.protocol.serving import Serving
from edgenode.protocol.transfer import PieceStore
from edgenode.protocol.wire import (
    Absent,
    Address,
    Chunk,
    Datagram,
    GetChunks,
    GetHeaders,
    GetTransactions,
    Headers,
    Holdings,
    Message,
    NewBlock,
    NewTransaction,
    ObjectKind,
    Socket,
    Status,
    Tip,
)

log = logging.getLogger(__name__)

LOOK_INTERVAL = 0.1
"""Seconds between two looks at what is wanted for time alone has passed."""

RELAY_DEGREE = 6
"""Peers that an announcement goes to at once (gossipsub's degree); the rest learn of it by
status."""


class _PayloadGone(Exception):  # noqa: N818  (an outcome, not an error)
    """The disk has altered the payload of an update that waits."""

    def __init__(self, payload: bytes) -> None:
        super().__init__(payload.hex())
        self.payload = payload


class Node:
    """The whole of a node without its sockets, disk, clock and threads.

    Feed it with `receive`, `tick` and the `submit_` methods; after each call take what it wants
    to send and to say with `drain`.
    """

    def __init__(
        self,
        *,
        chain: Chain,
        store: WaitingStore,
        ward_key: bytes,
        key: MemberKey,
        seeds: Iterable[Address],
        layout: Layout,
        rng: random.Random,
        now: Instant,
        voter: Voter | None = None,
        kept: PieceStore | None = None,
    ) -> None:
        """Start from a loaded chain.

        `key` says to other nodes who this one is; `rng` gives nonces and ephemeral keys; `voter`
        endorses for this box's member; `kept` are pieces that outlast a restart.
        """
        self.chain = chain
        self.mempool = Mempool(chain.genesis, chain.tree.get)
        self.refused: Counter[str] = Counter()
        self.adoptions = Adoptions()
        self.reorganisations = 0
        self._pulls = Pulls(rng, self._is_guest, kept)
        self._serving = Serving(chain, self._pulls)
        self._catch_up = CatchUp(chain, self._pulls)
        self._joining = Joining(chain, self._pulls, self._catch_up.brought)
        self._relay = Relay(chain, self.mempool, store)
        self._roles = self._make_roles()
        self._rng = rng
        self._voter = voter
        self._head_seen = self._look_at = float("-inf")
        self._held_until: float | None = None
        self._events: list[Event] = []
        self.links = Links(
            genesis_id=chain.genesis.id,
            ward_key=ward_key,
            key=key,
            seeds=seeds,
            layout=layout,
            local=Local(self._tip, self.mempool.ids, self._roles.of),
            rng=rng,
            now=now,
        )

    # In

    def receive(self, socket: Socket, source: Address, datagram: bytes, now: Instant) -> bool:
        """A datagram came in; returns whether it meant anything."""
        offers = self.links.offers_made
        opened = self.links.receive(socket, source, datagram, now)
        if opened is None and not self.links.joined and not self.links.left:
            # Garbage must not cost more than its opening.
            return self.links.offers_made > offers
        self._note_peers(now)
        if opened is not None:
            peer, message = opened
            try:
                self._handle(peer, message, now)
            except MalformedError as error:
                self._refuse("message", Rejected(Rule.MALFORMED, str(error)), peer)
                self._blame(peer, f"malformed: {error}", now)
            # Thousands of these come. What others ask changes nothing of what to ask, and of a
            # chunk's sender alone there is room for more.
            if isinstance(message, GetChunks):
                return True
            if isinstance(message, Chunk) and not self._pulls.stale:
                self._pull(self._pulls.fill(peer.session, now.monotonic))
                return True
        self._ask(now)
        return True

    def tick(self, now: Instant) -> None:
        """Time has passed."""
        self.links.tick(now)
        self._note_peers(now)
        if self._held_until is not None and now.monotonic >= self._held_until:
            self._held_until = None
            self.chain.let_go()  # nothing else moves while the disk is full
        self._advance(now)  # what a full disk held up
        if now.monotonic >= self._look_at:
            self._look_at = now.monotonic + LOOK_INTERVAL
            self._want(now)
        self._ask(now)

    def deadline(self) -> float | None:
        """When `tick` should be called at the latest, in the monotonic clock."""
        times = (self.links.deadline(), self._pulls.deadline(), self._catch_up.deadline())
        return min((time for time in times if time is not None), default=None)

    def drain(self) -> tuple[list[Datagram], list[Event]]:
        """What is to be sent and what happened since the last call."""
        datagrams, self.links.outbox = self.links.outbox, []
        events, self._events = self._events, []
        return datagrams, events

    def submit_update(self, update: Update, payload: bytes, now: Instant) -> None:
        """This box's own update: kept durably and announced.

        Raises:
            Rejected: it violates a rule, or another one on its base waits already: of those that
                other members sign twice the better one stays, this box keeps what it acknowledged.
        """
        if update.id in self.mempool:
            return
        try:
            self.mempool.check(update, self.chain.state)
            if self.mempool.has_another(update):
                raise Rejected(Rule.UPDATE_REPEATED, "another update on this base already waits")
            self._relay.add_update(update, payload)
        except Rejected as rejected:
            self._refuse("update", rejected, None)
            raise
        self._announce(update, None)
        self._pool_changed(now)

    def submit(
        self, transaction: Transfer | Enrolment | Revocation | Endorsement, now: Instant
    ) -> None:
        """A transaction handed to this box, or made by it: kept durably and announced.

        Raises:
            Rejected: it violates a rule.
            PoolFullError: the mempool is full.
        """
        if transaction.id in self.mempool:
            return
        try:
            self._relay.add(transaction)
        except Rejected as rejected:
            self._refuse("transaction", rejected, None)
            raise
        self._announce(transaction, None)
        self._pool_changed(now)

    def submit_block(self, block: Block, now: Instant) -> None:
        """A block mined by this box: validated, kept durably and announced.

        A block that is valid but not the best is kept beside the chain.

        Raises:
            Rejected: it violates a rule.
            UnknownParentError: its parent is not known.
        """
        try:
            self.chain.add_block(block, int(now.unix))
        except Rejected as rejected:
            self._refuse("block", rejected, None)
            raise
        self._held_until = None  # there was room for the block
        self._advance(now)
        refused = self.chain.invalid(block.id)
        if refused is not None:
            raise refused

    def rest(self, miner: bytes, now: Instant) -> float:
        """Seconds for which `miner` (public key) should leave the next block to others.

        `min_spacing` counts from when the head came to be known here: by its own stamp, one forged
        as far ahead as `future_bound` lets it would keep all honest miners from work.
        """
        state, genesis = self.chain.state, self.chain.genesis
        parent_time = state.entry.header.time
        share = block_share.earliest(genesis, state.records, miner, parent_time)
        # Blocks that came faster than one a second, at a target that is much too easy, have pushed
        # the times ahead of the clock: what this node would refuse itself is no work yet.
        ahead = earliest_time(genesis, state.entry, self.chain.tree.get) - genesis.future_bound
        return max(
            0.0,
            self._head_seen + genesis.min_spacing - now.monotonic,
            max(share, ahead) - now.unix,
        )

    def template(
        self, miner: bytes, now: Instant, shared: Sequence[tuple[bytes, int]] = ()
    ) -> Template:
        """What to mine next, paying `miner` (public key), or by weight also others."""

        def payload(name: bytes) -> bytes:
            data = self.chain.payload(name)
            if data is None:
                raise _PayloadGone(name)
            return data

        while True:
            try:
                return build_template(
                    self.chain.genesis,
                    self.chain.state,
                    self.mempool.select(self.chain.state),
                    miner=miner,
                    now=int(now.unix),
                    lookup=self.chain.tree.get,
                    payload=payload,
                    shared=shared,
                )
            except _PayloadGone as gone:
                # Others may have it: then they offer it again.
                self._relay.give_up(gone.payload)

    @property
    def resent(self) -> dict[str, int]:
        """What was said or asked for once more, by kind of message; chunks are counted singly."""
        again = {"chunk": self._pulls.asked_again, "get_headers": self._catch_up.asked_again}
        return again | self.links.counts.resent

    @property
    def syncing(self) -> bool:
        """Whether some peer is more than a block ahead."""
        return self._catch_up.syncing(self._servers())

    # Messages

    def _handle(self, peer: Peer, message: Message, now: Instant) -> None:
        match message:
            case Status():
                self._take_status(peer, message, now)
            case GetHeaders():
                self.links.send(peer, self._catch_up.answer_headers(message))
            case Headers():
                self._take_headers(peer, message, now)
            case GetChunks():
                self._serve(peer, message, now)
            case Chunk():
                self._take_chunk(peer, message, now)
            case Holdings():
                told = self._serving.take_holdings(peer.session, message, now.monotonic)
                if told is not None:
                    self.links.send(peer, told)
            case Absent():
                self._pulls.absent(peer.session, message.kind, message.id, now.monotonic)
            case GetTransactions():
                found = map(self.mempool.get, message.ids)
                for transaction in (each for each in found if each is not None):
                    self.links.send(peer, NewTransaction(transaction.encode()))
            case NewTransaction():
                self._take_transaction(peer, message, now)
            case NewBlock():
                self._take_new_block(peer, message, now)

    def _take_status(self, peer: Peer, status: Status, now: Instant) -> None:
        self.adoptions.heard(status.tip.head, now.monotonic)
        if peer.layout.sync:
            for transaction_id in status.waiting:
                self._relay.vouched(transaction_id, peer.session)
        unknown = tuple(i for i in status.waiting if not self._relay.knows(i))
        if unknown:
            self.links.send(peer, GetTransactions(unknown))
        self._want(now)

    def _take_headers(self, peer: Peer, message: Headers, now: Instant) -> None:
        try:
            self._catch_up.take_headers(peer, message, now)
        except Rejected as rejected:
            self._refuse("header", rejected, peer)
            self._blame(peer, str(rejected.rule), now)
        self._want(now)

    def _take_new_block(self, peer: Peer, message: NewBlock, now: Instant) -> None:
        self.adoptions.heard(message.tip.head, now.monotonic)
        if message.tip.rank > peer.tip.rank:
            peer.tip = message.tip
        try:
            self.chain.check_header(message.header, int(now.unix))
            if self.chain.could_be_head(message.header):
                self.chain.add_header(message.header, int(now.unix))
        except UnknownParentError:
            return  # its tip makes us ask for the headers before it
        except Rejected as rejected:
            self._refuse("header", rejected, peer)
            if rejected.rule not in catch_up.NOT_THE_PEERS_FAULT:
                self._blame(peer, str(rejected.rule), now)
            return
        self._want(now)

    def _take_transaction(self, peer: Peer, message: NewTransaction, now: Instant) -> None:
        try:
            source = peer.session if peer.layout.sync else None
            accepted = self._relay.offered(message.raw, source)
        except Rejected as rejected:
            self._refuse("transaction", rejected, peer)
            if rejected.rule not in relay.NOT_THE_PEERS_FAULT:
                self._blame(peer, str(rejected.rule), now)
            return
        if accepted is not None:
            self._announce(accepted, peer)
            self._pool_changed(now)
        self._want(now)

    def _take_chunk(self, peer: Peer, chunk: Chunk, now: Instant) -> None:
        for outcome in self._pulls.chunk(peer.session, chunk, now.monotonic):
            if isinstance(outcome, Completed):
                self._take_object(outcome, now)
                continue
            what = f"a piece of {outcome.kind.name.lower()} {display(outcome.id)}"
            rejected = Rejected(Rule.PAYLOAD_HASH, what)
            liar = self.links.peers.get(outcome.source)
            self._refuse("piece", rejected, liar)
            if liar is not None:
                self._blame(liar, str(rejected), now)

    def _take_object(self, done: Completed, now: Instant) -> None:
        try:
            match done.kind:
                case ObjectKind.BLOCK:
                    self._catch_up.take_block(done.id, done.data, now)
                case ObjectKind.PAYLOAD:
                    self._take_payload(done, now)
                case ObjectKind.STATE | ObjectKind.PARAMETERS:
                    self._joining.take(done.kind, done.id, done.data)
        except (MalformedError, UnprovenError) as error:
            malformed = Rejected(Rule.MALFORMED, str(error))
            self._refuse(done.kind.name.lower(), malformed, self._sender(done))
            self._blame_sender(done, str(malformed), now)
        except Rejected as rejected:
            self._refuse(done.kind.name.lower(), rejected, self._sender(done))
            if rejected.rule not in catch_up.NOT_THE_PEERS_FAULT:
                self._blame_sender(done, str(rejected.rule), now)
        self._advance(now)
        self._want(now)

    def _take_payload(self, done: Completed, now: Instant) -> None:
        if content_id(done.data) != done.id:
            raise Rejected(Rule.PAYLOAD_HASH, "the payload has another content id")
        accepted, damned = self._relay.payload_came(done.id, done.data)
        for offer, rejected in damned:
            self._refuse("update", rejected, self._sender(done))
            if rejected.rule in relay.NOT_THE_PEERS_FAULT:
                continue
            # An honest node offers an update only after it has seen its payload.
            for session in offer.sources & self.links.peers.keys():
                self._blame(self.links.peers[session], str(rejected.rule), now)
        if self.chain.lacks_payload(done.id):
            self.chain.add_payload(done.data)
        for update in accepted:
            self._announce(update, self._sender(done))
        if accepted:
            self._pool_changed(now)

    def _serve(self, peer: Peer, request: GetChunks, now: Instant) -> None:
        answers = self._serving.answer(request, peer.session, self._object, now.monotonic)
        for answer in answers:
            self.links.send(peer, answer)

    def _object(self, kind: ObjectKind, name: bytes) -> bytes | None:
        return self._serving.find(kind, name)

    def _make_roles(self) -> Roles:
        return Roles(self.chain)

    # Consequences

    def _advance(self, now: Instant) -> None:
        moved = False
        undone: list[Block] = []
        done: list[Block] = []
        try:
            if self._joining.ready is not None and self._held_until is None:
                joined = self.chain.join_at(self._joining.ready)
                self._joining.joined()
                moved = True
                undone += joined.disconnected
                self._head_moved(joined, now)
            while self._held_until is None:
                change, refusals = self.chain.advance()
                for refusal in refusals:
                    self._refuse("block", refusal.rejected, None)
                    # Who has it for its head has accepted what no honest node accepts.
                    for peer in list(self.links.peers.values()):
                        if peer.tip.head == refusal.entry.id:
                            self._blame(peer, str(refusal.rejected.rule), now)
                if change is None:
                    break
                moved = True
                undone += change.disconnected
                done += change.connected
                self._head_moved(change, now)
        finally:
            # Last, for it writes: should the disk be full, the head has moved all the same. And
            # once: what is undone may hold again only at the end of a long way.
            if moved:
                for _, rejected in self._relay.follow(undone, done):
                    self._refuse("waiting", rejected, None)
                self._endorse(now)
                self.chain.let_go()
        if moved:
            self._roles.follow()
            self._events += [PeerRevoked(peer) for peer in self.links.members_changed(now)]
            self._note_peers(now)

    def _endorse(self, now: Instant) -> None:
        """Endorse a checkpoint, if one is due; not on the way to a head that others have."""
        if self._voter is None or self._catch_up.goes_on(self._servers()):
            return
        endorsement = self._voter.endorse(self.chain.state, self.chain.tree.get)
        if endorsement is None:
            return
        try:
            self.submit(endorsement, now)
        except Rejected as rejected:
            # The chain counts one for this height already: this member's disk was lost.
            log.warning("this node's endorsement is not needed", extra={"reason": rejected})

    def _head_moved(self, change: HeadChange, now: Instant) -> None:
        self.reorganisations += bool(change.disconnected)
        self._events.append(HeadMoved(change))
        self._head_seen = now.monotonic
        self.adoptions.adopted(change.new.id, now.monotonic)
        announcement = NewBlock(change.new.header, self._tip())
        for peer in self._some_listeners():
            if peer.tip.rank < self.chain.state.rank:
                self.links.send(peer, announcement, Socket.BROADCAST)
        self.links.hasten_statuses(now)

    def _announce(self, transaction: Transaction, source: Peer | None) -> None:
        message = NewTransaction(transaction.encode())
        for peer in self._some_listeners():
            if peer is not source:
                self.links.send(peer, message, Socket.BROADCAST)

    def _some_listeners(self) -> list[Peer]:
        peers = self.links.listeners()
        self._rng.shuffle(peers)
        # Members first: guests may be any number, and pass on what they like.
        return sorted(peers, key=lambda peer: peer.role is not Role.MEMBER)[:RELAY_DEGREE]

    def _is_guest(self, session: int) -> bool:
        peer = self.links.peers.get(session)
        return peer is None or peer.role is not Role.MEMBER

    def _servers(self) -> list[Peer]:
        """The peers that can be asked for what they have."""
        return [peer for peer in self.links.peers.values() if peer.layout.sync]

    def _pool_changed(self, now: Instant) -> None:
        self._events.append(PoolChanged())
        self.links.hasten_statuses(now)

    def hold(self, until: float) -> None:
        """Take up nothing that must be kept before `until` (monotonic): the disk is full."""
        self._held_until = until
        self._pulls.keep_only(set())

    def _want(self, now: Instant) -> None:
        if self._held_until is not None:
            return
        wanted = self._joining.want(self._servers(), now.monotonic)
        if wanted is None or self._joining.leaves_room(now.monotonic):
            wanted = (wanted or set()) | self._catch_up.want(self._servers())
        for offer in self._relay.offers.values():
            update = offer.update
            length = update.payload_length
            self._pulls.want(
                ObjectKind.PAYLOAD,
                update.payload,
                length,
                length,
                sorted(offer.sources),
                urgent=False,
            )
            wanted.add((ObjectKind.PAYLOAD, update.payload))
        self._pulls.keep_only(wanted)
        if self._joining.ready is not None:
            self._advance(now)
            self._want(now)

    def _ask(self, now: Instant) -> None:
        for peer, request in self._catch_up.ask_headers(self._servers(), now):
            self.links.send(peer, request)
        self._pull(self._pulls.pump(now.monotonic))

    def _pull(self, requests: Iterable[tuple[int, Request]]) -> None:
        for session, request in requests:
            self.links.send(self.links.peers[session], request)

    def _note_peers(self, now: Instant) -> None:
        for peer in self.links.joined:
            if peer.layout.sync:
                self._pulls.add_peer(peer.session, peer.flow)
            head = self.chain.head
            if head.height:
                self.links.introduce_broadcast(peer, NewBlock(head.header, self._tip()))
        for peer in self.links.left:
            self._pulls.drop_peer(peer.session)
            self._serving.forget(peer.session)
            self._catch_up.forget(peer)
            self._relay.source_left(peer.session)
        if self.links.joined or self.links.left:
            self.links.joined, self.links.left = [], []
            self._want(now)

    def _refuse(self, what: str, rejected: Rejected, peer: Peer | None) -> None:
        self.refused[rejected.rule] += 1
        self._events.append(Refused(what, rejected, peer))

    def _sender(self, done: Completed) -> Peer | None:
        """The peer that sent an object, if its session still stands."""
        return None if done.source is None else self.links.peers.get(done.source)

    def _blame_sender(self, done: Completed, reason: str, now: Instant) -> None:
        peer = self._sender(done)
        if peer is not None:
            self._blame(peer, f"{reason} ({done.kind.name.lower()} {display(done.id)})", now)

    def _blame(self, peer: Peer, reason: str, now: Instant) -> None:
        if peer.session in self.links.peers:
            self.links.blame(peer, now)
            self._events.append(PeerBlamed(peer, reason))
            self._note_peers(now)

    def _tip(self) -> Tip:
        head = self.chain.head
        return Tip(head.id, head.height, head.work, self.chain.state.justified)
