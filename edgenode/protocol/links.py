"""Sessions with other nodes: hello and welcome, sealing, replay, keep-alive, addresses."""

import hmac
import random
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from edgenode.ledger.encoding import MalformedError
from edgenode.protocol.book import AddressBook
from edgenode.protocol.instant import Instant
from edgenode.protocol.peer import Peer
from edgenode.protocol.replay import ReplayWindow
from edgenode.protocol.sealing import Sealer, UnsealError
from edgenode.protocol.wire import (
    ADDRESSES_LIMIT,
    BROADCAST_KINDS,
    COOKIE_BYTES,
    IDS_LIMIT,
    PROTOCOL_VERSION,
    Address,
    Addresses,
    Confirm,
    Envelope,
    GetAddresses,
    Hello,
    Message,
    Socket,
    Status,
    Tip,
    Welcome,
)

PEERS_LIMIT = 64
"""Sessions at a time. Each may cost a window of chunks and a replay window, 140 kB at most."""

HOST_LIMIT = 32
"""Of them at one host, seeds aside: one box with many ports must not take all places, while a ward
behind one router, or on one computer for a trial, has that many."""

SEED_PLACES = 8
"""Of them for seeds alone."""

KNOCKED_PLACES = 16
"""Of the others for addresses that this node has knocked at: who comes unasked chooses the time,
and may be quicker than all after a start."""

STATUS_INTERVAL = 2.0
"""Seconds between statuses after a change: how long a lost announcement can go unnoticed."""

LONGEST_STATUS_INTERVAL = 8.0
"""Seconds between statuses while nothing changes; each is about 200 bytes."""

PROBE_AFTER = 12.0
"""Seconds of silence after which a peer is also knocked at: longer than its statuses may take."""

SILENCE_LIMIT = 60.0
"""Seconds of silence after which a session is over: seven statuses, which 40 % loss swallows
once in 600 times. A slow box is not a dead one."""


ADDRESSES_INTERVAL = 30.0
"""Seconds between requests for addresses: an answer that was lost is made good by the next."""


SESSIONS_REMEMBERED = 256
"""Sessions whose replay windows are kept, ended ones included: 1 kB each."""

HELLOS_REMEMBERED = 512
"""Hellos whose nonce is still waited for: two to each address of a full book."""


@dataclass(frozen=True, slots=True)
class Datagram:
    """Bytes to send from one of this node's sockets to the same kind of socket at `address`."""

    socket: Socket
    address: Address
    data: bytes


@dataclass(slots=True)
class Traffic:
    """Datagrams and bytes of one socket since the start; `dropped` came in and were no good."""

    datagrams_sent: int = 0
    datagrams_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Local:
    """What this node says of itself when it opens a session."""

    tip: Callable[[], Tip]
    waiting: Callable[[], list[bytes]]


class _Dropped(Exception):  # noqa: N818  (an outcome, not an error)
    """A datagram that leads to nothing; `reason` is its label in the metrics."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Links:
    """All sessions of a node. Authenticated messages come out of `receive`; the rest is silence.

    A hello gets a welcome of its own size and leaves nothing behind. The session exists for the
    one who knocked once the welcome repeats its nonce, and for the other once a confirmation
    brings back its cookie: each side has then shown that it reads what is sent to its address.
    """

    def __init__(
        self,
        *,
        genesis_id: bytes,
        sealer: Sealer,
        seeds: Iterable[Address],
        broadcast_port: int,
        local: Local,
        rng: random.Random,
        now: Instant,
    ) -> None:
        """Start with no session; `broadcast_port` is 0 without a broadcast socket."""
        self._genesis_id = genesis_id
        self._sealer = sealer
        self._broadcast_port = broadcast_port
        self._local = local
        self._rng = rng
        self._counter = 0
        self._secret = rng.randbytes(32)
        self._hellos: OrderedDict[int, Address] = OrderedDict()
        self._past: OrderedDict[int, dict[Socket, ReplayWindow]] = OrderedDict()
        self.session = rng.getrandbits(64) or 1
        self.book = AddressBook(seeds, now.monotonic)
        self.peers: dict[int, Peer] = {}
        self.traffic = {socket: Traffic() for socket in Socket}
        self.outbox: list[Datagram] = []
        self.joined: list[Peer] = []
        self.left: list[Peer] = []

    # In

    def receive(
        self, socket: Socket, source: Address, datagram: bytes, now: Instant
    ) -> tuple[Peer, Message] | None:
        """Open a datagram; a message of a session comes out with its peer."""
        traffic = self.traffic[socket]
        traffic.datagrams_received += 1
        traffic.bytes_received += len(datagram)
        try:
            return self._receive(socket, source, datagram, now)
        except _Dropped as dropped:
            traffic.dropped[dropped.reason] += 1
            return None

    def _receive(
        self, socket: Socket, source: Address, datagram: bytes, now: Instant
    ) -> tuple[Peer, Message] | None:
        envelope = self._open(socket, datagram)
        message = envelope.message
        if self.book.is_shunned(source, now.monotonic):
            raise _Dropped("shunned")
        if envelope.sender == self.session:
            # Most likely this address is this node's own. A reflected datagram looks the same,
            # so the address is not struck out, only tried less often.
            self.book.postpone(source)
            return None
        if isinstance(message, Hello):
            self._greeted(source, envelope, message)
            return None
        if envelope.receiver != self.session:
            raise _Dropped("other_session")
        if isinstance(message, Welcome):
            self._welcomed(source, envelope, message, now)
            return None
        peer = self.peers.get(envelope.sender)
        if peer and source.host != peer.address.host and not isinstance(message, Confirm):
            # Session numbers are no secret in the ward: only its own address speaks for a peer.
            raise _Dropped("moved")
        windows = self._windows(envelope.sender) if peer is None else peer.replay
        if not windows[socket].accept(envelope.counter):
            raise _Dropped("replayed")
        if isinstance(message, Confirm):
            self._confirmed(source, envelope, message, now)
            return None
        if peer is None:
            raise _Dropped("no_session")
        peer.heard = now.monotonic
        peer.cookie = None  # the other side has the session: nothing is left to confirm
        peer.datagrams_received += 1
        return self._handle(peer, message, now)

    def _open(self, socket: Socket, datagram: bytes) -> Envelope:
        try:
            envelope = Envelope.decode(self._sealer.open(socket, datagram))
        except UnsealError:
            raise _Dropped("unsealed") from None
        except MalformedError:
            raise _Dropped("malformed") from None
        if socket is Socket.BROADCAST and type(envelope.message) not in BROADCAST_KINDS:
            raise _Dropped("wrong_socket")
        return envelope

    def _greeted(self, source: Address, envelope: Envelope, hello: Hello) -> None:
        """Somebody knocks: answer, and keep nothing."""
        self._check_ward(hello)
        welcome = Welcome(
            genesis=self._genesis_id,
            tip=self._local.tip(),
            broadcast_port=self._broadcast_port,
            nonce=hello.nonce,
            cookie=self._cookie(source, envelope.sender),
        )
        self._post(source, envelope.sender, Socket.SYNC, welcome)

    def _welcomed(
        self, source: Address, envelope: Envelope, welcome: Welcome, now: Instant
    ) -> None:
        """Our knock was answered: the session stands here, and is confirmed there."""
        self._check_ward(welcome)
        if (knocked := self._hellos.get(welcome.nonce)) != source:
            if knocked is not None:
                # A node with several addresses answers from another one than was knocked at. One
                # knock there, as long as this welcome, proves that address as well.
                self._knock(source)
            raise _Dropped("replayed")
        del self._hellos[welcome.nonce]
        peer = self._join(envelope.sender, source, welcome, now, knocked=True)
        peer.cookie = welcome.cookie
        self._send_status(peer, now)

    def _confirmed(
        self, source: Address, envelope: Envelope, confirm: Confirm, now: Instant
    ) -> None:
        """Our welcome was read at this address: the session stands here, too."""
        if not hmac.compare_digest(confirm.cookie, self._cookie(source, envelope.sender)):
            raise _Dropped("no_session")
        peer = self._join(envelope.sender, source, confirm, now, knocked=False)
        self._send_status(peer, now)

    def _join(
        self,
        session: int,
        source: Address,
        said: Welcome | Confirm,
        now: Instant,
        *,
        knocked: bool,
    ) -> Peer:
        for old in [p for p in self.peers.values() if p.address == source]:
            if old.session != session:
                self._leave(old)  # the node at this address has started anew
        peer = self.peers.get(session)
        if peer is None:
            if not self._has_place(source, now, knocked=knocked):
                raise _Dropped("too_many_peers")
            peer = Peer(
                session=session,
                address=source,
                broadcast=None,
                tip=said.tip,
                connected=now.unix,
                heard=now.monotonic,
                status_interval=STATUS_INTERVAL,
                replay=self._windows(session),
            )
            self.peers[session] = peer
            self.joined.append(peer)
        peer.knocked = peer.knocked or knocked
        # A peer that moved to another address has proven that one now.
        peer.address = source
        peer.broadcast = Address(source.host, said.broadcast_port) if said.broadcast_port else None
        peer.heard = now.monotonic
        self.book.reached(source, now.monotonic)
        return peer

    def _has_place(self, source: Address, now: Instant, *, knocked: bool) -> bool:
        """Whether there may be a session more with a peer at this address."""
        if self.book.is_seed(source, now.monotonic):
            return len(self.peers) < PEERS_LIMIT
        others = [p for p in self.peers.values() if not self.book.is_seed(p.address, now.monotonic)]
        if sum(p.address.host == source.host for p in others) >= HOST_LIMIT:
            return False
        places = PEERS_LIMIT - SEED_PLACES
        if not knocked and sum(not p.knocked for p in others) >= places - KNOCKED_PLACES:
            return False
        return len(self.peers) < PEERS_LIMIT and len(others) < places

    def _check_ward(self, said: Hello | Welcome) -> None:
        if said.genesis != self._genesis_id or said.version != PROTOCOL_VERSION:
            raise _Dropped("other_ward")

    def _cookie(self, source: Address, session: int) -> bytes:
        """What only this node, since it started, could say of this address and session."""
        text = f"{source} {session}".encode()
        return hmac.digest(self._secret, text, "sha256")[:COOKIE_BYTES]

    def _windows(self, session: int) -> dict[Socket, ReplayWindow]:
        """The replay windows of a session: they outlive it, so that it cannot be replayed."""
        windows = self._past.setdefault(session, {s: ReplayWindow() for s in Socket})
        self._past.move_to_end(session)
        if len(self._past) > SESSIONS_REMEMBERED:
            self._past.popitem(last=False)
        return windows

    def _handle(self, peer: Peer, message: Message, now: Instant) -> tuple[Peer, Message] | None:
        match message:
            case GetAddresses():
                others = [p.address for p in self.peers.values() if p is not peer]
                self._rng.shuffle(others)
                self.send(peer, Addresses(tuple(others[:ADDRESSES_LIMIT])))
                return None
            case Addresses():
                for address in message.addresses:
                    self.book.learn(address, now.monotonic)
                return None
            case Status():
                peer.status_received(message.sequence, message.echo, message.held, now.monotonic)
                peer.tip = message.tip
        return peer, message

    # Out

    def send(self, peer: Peer, message: Message, socket: Socket = Socket.SYNC) -> None:
        """Send a message to a peer; what it cannot get on its broadcast socket goes to sync."""
        address = peer.address
        if socket is Socket.BROADCAST:
            if self._broadcast_port and peer.broadcast:
                address = peer.broadcast
            else:
                socket = Socket.SYNC
        peer.datagrams_sent += 1
        self._post(address, peer.session, socket, message)

    def blame(self, peer: Peer, now: Instant) -> None:
        """End the session of a peer that did what no honest node does, and shun its address."""
        self.book.shun(peer.address, now.monotonic)
        self._leave(peer)

    def tick(self, now: Instant) -> None:
        """Knock, keep alive, and let go of who has been silent."""
        for peer in list(self.peers.values()):
            if now.monotonic - peer.heard > SILENCE_LIMIT:
                self._leave(peer)
            elif now.monotonic >= peer.status_due:
                self._send_status(peer, now)
                if now.monotonic - peer.heard > PROBE_AFTER:
                    # It may have started anew and not know this session: it knows a knock.
                    self._knock(peer.address)
        for address in self.book.due(self._connected(), now.monotonic):
            self._knock(address)

    def deadline(self) -> float | None:
        """When `tick` should be called at the latest, in the monotonic clock."""
        times = [min(p.status_due, p.heard + SILENCE_LIMIT) for p in self.peers.values()]
        knock = self.book.next_due(self._connected())
        return min([*times, *([] if knock is None else [knock])], default=None)

    def hasten_statuses(self, now: Instant) -> None:
        """Let every peer know soon that this node's tip or mempool has changed."""
        for peer in self.peers.values():
            peer.status_interval = STATUS_INTERVAL
            peer.status_due = min(peer.status_due, now.monotonic + STATUS_INTERVAL / 4)

    def _send_status(self, peer: Peer, now: Instant) -> None:
        if peer.cookie is not None:
            # Said again with each status until an answer shows that it arrived.
            confirm = Confirm(peer.cookie, self._local.tip(), self._broadcast_port)
            self.send(peer, confirm)
        sequence, echo, held = peer.next_status(now.monotonic)
        waiting = self._local.waiting()
        if len(waiting) > IDS_LIMIT:
            waiting = self._rng.sample(waiting, IDS_LIMIT)
        self.send(peer, Status(self._local.tip(), sequence, echo, held, tuple(waiting)))
        if now.monotonic >= peer.addresses_due:
            self.send(peer, GetAddresses())
            peer.addresses_due = now.monotonic + ADDRESSES_INTERVAL
        # Jitter keeps the statuses of many nodes from falling into step.
        peer.status_due = now.monotonic + peer.status_interval * self._rng.uniform(0.75, 1.25)
        peer.status_interval = min(LONGEST_STATUS_INTERVAL, 1.5 * peer.status_interval)

    def _knock(self, address: Address) -> None:
        nonce = self._rng.getrandbits(64)
        self._hellos[nonce] = address
        if len(self._hellos) > HELLOS_REMEMBERED:
            self._hellos.popitem(last=False)
        hello = Hello(self._genesis_id, self._local.tip(), self._broadcast_port, nonce)
        self._post(address, 0, Socket.SYNC, hello)

    def _post(self, address: Address, receiver: int, socket: Socket, message: Message) -> None:
        self._counter += 1
        envelope = Envelope(self.session, receiver, self._counter, message)
        data = self._sealer.seal(socket, envelope.encode())
        traffic = self.traffic[socket]
        traffic.datagrams_sent += 1
        traffic.bytes_sent += len(data)
        self.outbox.append(Datagram(socket, address, data))

    def _leave(self, peer: Peer) -> None:
        del self.peers[peer.session]
        self.left.append(peer)

    def _connected(self) -> set[Address]:
        return {peer.address for peer in self.peers.values()}
