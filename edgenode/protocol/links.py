"""Sessions with other nodes: their channels, keep-alive, addresses, places."""

import itertools
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.keys import MemberKey
from edgenode.protocol import wire
from edgenode.protocol.beacon import BEACON, Beacons, Heard
from edgenode.protocol.book import FIRST_RETRY, LONGEST_RETRY, OF_GUESTS, SATED_RETRY, AddressBook
from edgenode.protocol.channel import Channel, index_of
from edgenode.protocol.drops import Drop, Dropped
from edgenode.protocol.gate import GATE_FORM, Gate
from edgenode.protocol.handshake import UNCONFIRMED_TIME, Established, Handshakes
from edgenode.protocol.handshake_messages import Introduction
from edgenode.protocol.instant import Instant
from edgenode.protocol.layout import SAME_HOST, Layout
from edgenode.protocol.peer import Peer
from edgenode.protocol.places import Comer, has_place, who_gives_way
from edgenode.protocol.roles import Role
from edgenode.protocol.seeking import Seeking
from edgenode.protocol.tap import Tap, Tapped
from edgenode.protocol.traffic import MessageCounts, SocketTraffic
from edgenode.protocol.wire import (
    ADDRESSES_LIMIT,
    BROADCAST_KINDS,
    DATAGRAM_LIMIT,
    IDS_LIMIT,
    SERVED_KINDS,
    Address,
    Addresses,
    Datagram,
    GetAddresses,
    Goodbye,
    Message,
    Reason,
    Socket,
    Status,
    Tip,
    kind_of,
)

STATUS_INTERVAL = 2.0
"""Seconds between statuses after a change: how long a lost announcement can go unnoticed."""

LONGEST_STATUS_INTERVAL = 8.0
"""Seconds between statuses while nothing changes; each is about 150 bytes."""

PROBE_AFTER = 12.0
"""Seconds of silence after which a peer is also knocked at: longer than its statuses may take."""

SILENCE_LIMIT = 60.0
"""Seconds of silence after which a session is over: seven statuses, which 40 % loss swallows
once in 600 times. A slow box is not a dead one."""

ADDRESSES_INTERVAL = 30.0
"""Seconds between requests for addresses: an answer that was lost is made good by the next."""

REKEY_AFTER = 600.0
"""Seconds after which the node that asked for a channel asks for a new one; the other does so after
half as long again. Who takes a box learns what was said in that time, and nothing older."""

KEY_LIFETIME = 1800.0
"""Seconds after which a channel is not used any more: a new one was asked for all the time."""

CHANNELS_LIMIT = 4
"""Channels of one session at a time: the last one and its successor, from either side."""


@dataclass(frozen=True, slots=True)
class Local:
    """What this node says of itself, and what a key is to the ward by its chain."""

    tip: Callable[[], Tip]
    waiting: Callable[[], list[bytes]]
    role: Callable[[bytes], Role]


class Links:
    """All sessions of a node. Authenticated messages come out of `receive`; the rest is silence.

    A session is that of one running node, by its member's key and its instance number; the
    handshake gives it a channel, and from time to time a new one.
    """

    def __init__(
        self,
        *,
        genesis_id: bytes,
        ward_key: bytes,
        key: MemberKey,
        seeds: Iterable[Address],
        layout: Layout,
        local: Local,
        rng: random.Random,
        now: Instant,
    ) -> None:
        """Start with no session; there will be none but with seeds if the layout is not open.

        Raises:
            ValueError: the ward key has not 32 bytes.
        """
        self._main = Socket.BROADCAST if not layout.sync else Socket.SYNC
        """The socket for all but announcements."""
        self._seeds_only = not layout.is_open
        self._local = local
        self._rng = rng
        self.counts = MessageCounts()
        self._gate = Gate(ward_key, genesis_id, rng.randbytes)
        self._handshakes = Handshakes(
            gate=self._gate,
            genesis_id=genesis_id,
            key=key,
            layout=layout,
            rng=rng,
            now=now.monotonic,
            counts=self.counts,
        )
        self._numbers = itertools.count(1)
        self._channels: dict[int, tuple[Peer, Channel]] = {}
        self.instance = self._handshakes.instance
        self.beacons = Beacons(self._gate, genesis_id, key, self.instance, now.monotonic)
        self.tap: Tap | None = None
        self._opened: bytes | None = None
        self.book = AddressBook(seeds, now.monotonic)
        self._seeking = Seeking(self.book, rng, now.monotonic)
        self.peers: dict[int, Peer] = {}
        self.traffic = {socket: SocketTraffic() for socket in Socket}
        self.outbox: list[Datagram] = []
        self.joined: list[Peer] = []
        self.left: list[Peer] = []

    @property
    def layout(self) -> Layout:
        """The node's sockets, as it tells others of them."""
        return self._handshakes.layout

    def move_broadcast(self, to: Address) -> None:
        """Announcements reach this node there now; peers learn it by their next handshake."""
        self._handshakes.layout = replace(self.layout, broadcast=to)

    # In

    def receive(
        self, socket: Socket, source: Address, datagram: bytes, now: Instant
    ) -> tuple[Peer, Message] | None:
        """Open a datagram; a message of a session comes out with its peer."""
        traffic = self.traffic[socket]
        traffic.datagrams_received += 1
        traffic.bytes_received += len(datagram)
        self._opened, reason = None, None
        tap, answers = self.tap, list[Tapped]()
        if tap is not None:
            self.tap = answers.append  # they are shown after what has called them forth
        try:
            return self._receive(socket, source, datagram, now)
        except Dropped as dropped:
            reason = dropped.reason
            traffic.dropped[reason] += 1
            return None
        finally:
            self._post_handshakes()
            if tap is not None:
                self.tap = tap
                opened = self._opened or self._look_into(datagram)
                tap(Tapped(socket, source, False, datagram, opened, reason))
                for tapped in answers:
                    tap(tapped)

    def _look_into(self, datagram: bytes) -> bytes | None:
        """The plaintext of a datagram of the gate, if it is one."""
        try:
            return self._gate.open(datagram)
        except Dropped:
            return None

    def _receive(
        self, socket: Socket, source: Address, datagram: bytes, now: Instant
    ) -> tuple[Peer, Message] | None:
        if self.book.is_shunned(source, now.monotonic):
            raise Dropped(Drop.SHUNNED)
        if not 0 < len(datagram) <= DATAGRAM_LIMIT:
            raise Dropped(Drop.UNSEALED)
        if socket is Socket.DISCOVERY:
            self._hear(self.beacons.open(source, datagram, now.monotonic, self._is_member), now)
            self.counts.received[BEACON] += 1
            return None
        if datagram[0] == GATE_FORM:
            if socket is not self._main:
                raise Dropped(Drop.WRONG_SOCKET)
            made = self._handshakes.receive(
                source,
                datagram,
                now.monotonic,
                lambda who, address, knocked: self._admit(who, address, now, knocked=knocked),
                known=self._is_known(source, now),
            )
            if made is not None:
                peer = self._establish(made, now)
                # The other side has the channel for good once something comes through it.
                self._send_status(peer, now, made.channel)
            return None
        peer, plaintext = self._open(socket, source, datagram, now)
        self._opened = plaintext
        try:
            message = wire.decode(plaintext)
        except MalformedError:
            raise Dropped(Drop.MALFORMED) from None
        if socket is not self._main:
            if type(message) not in BROADCAST_KINDS:
                raise Dropped(Drop.WRONG_SOCKET)
            # It may be at another host than it was met at, or behind a router with another port.
            peer.broadcast = source
        elif not self.layout.sync and type(message) in SERVED_KINDS:
            raise Dropped(Drop.NOT_SERVED)
        peer.heard = now.monotonic
        peer.datagrams_received += 1
        self.counts.received[kind_of(message)] += 1
        return self._handle(peer, message, now)

    def _is_member(self, key: bytes) -> bool:
        return self._local.role(key) is Role.MEMBER

    def _hear(self, heard: Heard, now: Instant) -> None:
        """A node on this LAN is there."""
        if self._seeds_only:
            return
        if heard.member is not None:
            self.book.hear(heard.address, heard.member, now.monotonic)
        elif not self.book.learn(heard.address, now.monotonic, OF_GUESTS):
            raise Dropped(Drop.TOO_MANY_BEACONS)

    def _open(
        self, socket: Socket, source: Address, datagram: bytes, now: Instant
    ) -> tuple[Peer, bytes]:
        """The plaintext of a session's datagram; the first one of a channel confirms that."""
        index = index_of(datagram)
        if (known := self._channels.get(index)) is not None:
            peer, channel = known
            hosts = {peer.address.host}
            if socket is not self._main and peer.layout.broadcast is not None:
                hosts.add(peer.layout.broadcast.host)
            if source.host not in hosts:
                raise Dropped(Drop.MOVED)
            plaintext = channel.open(datagram, now.monotonic)
            if channel.made > peer.sending.made:
                peer.sending = channel
            return peer, plaintext
        made = self._handshakes.unconfirmed(index)
        if made is None:
            raise Dropped(Drop.NO_SESSION)
        if source.host != made.address.host:
            raise Dropped(Drop.MOVED)
        plaintext = made.channel.open(datagram, now.monotonic)
        self._handshakes.confirm(index)
        try:
            # Others may have come since it was accepted.
            self._admit(made.who, made.address, now, knocked=False)
        except Dropped:
            self._handshakes.release(index)
            raise
        peer = self._establish(made, now)
        if peer in self.joined:
            self._send_status(peer, now)
        return peer, plaintext

    def _is_known(self, source: Address, now: Instant) -> bool:
        """Whether it is a seed's address, or there is a session with it: with its host, if open."""
        known = {peer.address for peer in self.peers.values()}
        met = source in known if self._seeds_only else source.host in {a.host for a in known}
        return met or self.book.is_seed(source, now.monotonic)

    def _admit(self, who: Introduction, source: Address, now: Instant, *, knocked: bool) -> None:
        """Raise `Dropped` if there may be no session with this node."""
        if self.book.is_shunned_member(who.member, now.monotonic):
            raise Dropped(Drop.SHUNNED)
        role = self._local.role(who.member)
        if role is Role.REVOKED:
            raise Dropped(Drop.REVOKED)
        if (peer := self._peer(who)) is not None:
            if source.host != peer.address.host and now.monotonic - peer.heard <= PROBE_AFTER:
                # It is where it was. It has two addresses, or somebody passes a handshake on:
                # that shows who made it, but not that the way there is good for all else.
                self.book.postpone(source, now.monotonic)
                raise Dropped(Drop.MOVED)
            return
        self._make_place(self._comer(who, source, role, now, knocked=knocked), now, try_only=True)

    def _comer(
        self, who: Introduction, source: Address, role: Role, now: Instant, *, knocked: bool
    ) -> Comer:
        seed = self.book.is_seed(source, now.monotonic)
        return Comer(source, who.member, role, seed, knocked)

    def _make_place(self, comer: Comer, now: Instant, *, try_only: bool = False) -> None:
        """Let another leave for this comer if need be; raises `Dropped` if nobody has to."""
        seeds = self._seeds(now)
        # The node that was at this address gives its place up.
        others = [peer for peer in self.peers.values() if peer.address != comer.address]
        if has_place(comer, others, seeds):
            return
        leaving = who_gives_way(comer, others, seeds, now.monotonic)
        if leaving is None:
            raise Dropped(Drop.TOO_MANY_PEERS)
        if not try_only:
            self._part(leaving, Reason.CROWDED)

    def _seeds(self, now: Instant) -> list[Address]:
        """The seeds among the peers' addresses."""
        addresses = (peer.address for peer in self.peers.values())
        return [each for each in addresses if self.book.is_seed(each, now.monotonic)]

    def _establish(self, made: Established, now: Instant) -> Peer:
        """Take up a channel: of a session that stands, or of a new one."""
        who, source, channel = made.who, made.address, made.channel
        peer = self._peer(who)
        for old in [p for p in self.peers.values() if p.address == source and p is not peer]:
            self._leave(old)  # the node at this address has started anew
        if peer is None:
            role = self._local.role(who.member)
            self._make_place(self._comer(who, source, role, now, knocked=channel.asked), now)
            peer = Peer(
                session=next(self._numbers),
                member=who.member,
                instance=who.instance,
                role=role,
                address=source,
                layout=who.layout,
                broadcast=_announcements_to(source, who.layout),
                tip=NOWHERE,
                connected=now.unix,
                since=now.monotonic,
                heard=now.monotonic,
                status_interval=STATUS_INTERVAL,
                sending=channel,
                channels=[],
                knocked=channel.asked,
            )
            self.peers[peer.session] = peer
            self.joined.append(peer)
        peer.channels.append(channel)
        self._channels[channel.local] = peer, channel
        if channel.heard is not None and channel.made > peer.sending.made:
            peer.sending = channel
        self._retire_channels(peer, now)
        # A peer that moved to another address has proven that one now.
        if peer.address != source or peer.layout != who.layout:
            peer.address, peer.layout = source, who.layout
            peer.broadcast = _announcements_to(source, who.layout)
        peer.heard = now.monotonic
        if who.layout.sync:
            self.book.reached(source, now.monotonic, "" if peer.role is Role.MEMBER else OF_GUESTS)
            self._note_met(peer, now)
        return peer

    def _note_met(self, peer: Peer, now: Instant) -> None:
        """Remember where a member is, or was to this moment."""
        if peer.role is Role.MEMBER and peer.layout.sync:
            self.book.meet(peer.address, peer.member, now.monotonic)

    def _peer(self, who: Introduction) -> Peer | None:
        """The session with a running node."""
        for peer in self.peers.values():
            if (peer.member, peer.instance) == (who.member, who.instance):
                return peer
        return None

    def _retire_channels(self, peer: Peer, now: Instant) -> None:
        """Let go of channels that the peer does not use any more, or never got."""
        for channel in peer.channels[:]:
            if channel is peer.sending:
                gone = now.monotonic - channel.made > KEY_LIFETIME
            else:
                # The peer sends through it, never got it, or has left it for another.
                used = channel.made if channel.heard is None else channel.heard
                gone = now.monotonic - used > UNCONFIRMED_TIME
                gone = gone or len(peer.channels) > CHANNELS_LIMIT
            if gone:
                self._drop_channel(peer, channel)

    def _drop_channel(self, peer: Peer, channel: Channel) -> None:
        peer.channels.remove(channel)
        del self._channels[channel.local]
        self._handshakes.release(channel.local)

    def _handle(self, peer: Peer, message: Message, now: Instant) -> tuple[Peer, Message] | None:
        match message:
            case GetAddresses():
                others = [p.address for p in self.peers.values() if p is not peer and _is_told(p)]
                self._rng.shuffle(others)
                self.send(peer, Addresses(tuple(others[:ADDRESSES_LIMIT])))
                return None
            case Addresses():
                if not self._seeds_only:
                    for address in message.addresses:
                        self.book.learn(address, now.monotonic, peer.address.site)
                return None
            case Goodbye():
                self._leave(peer)
                if message.reason is Reason.STOPS:
                    pause = FIRST_RETRY
                else:
                    pause = SATED_RETRY if self.peers else LONGEST_RETRY
                self.book.postpone(peer.address, now.monotonic, pause)
                return None
            case Status():
                peer.status_received(message.sequence, message.echo, message.held, now.monotonic)
                peer.tip = message.tip
        return peer, message

    @property
    def offers_made(self) -> int:
        """Offers of a session that this node has made: each has a time at which it is repeated."""
        return self._handshakes.offers_made

    # Out

    def send(self, peer: Peer, message: Message, socket: Socket = Socket.SYNC) -> None:
        """Send a message to a peer, from this node's socket of that kind or the only one."""
        address = peer.address
        if socket is Socket.BROADCAST and peer.layout.sync:
            assert peer.broadcast is not None, "only who listens is told"
            address = peer.broadcast
        else:
            # To who has one socket all comes from where it has knocked: a router lets it through.
            socket = self._main
        self._say(socket, address, peer, message)

    def listeners(self) -> list[Peer]:
        """The peers that announcements can be sent to; none without a broadcast socket here."""
        if self.layout.broadcast is None:
            return []
        return [peer for peer in self.peers.values() if peer.broadcast is not None]

    def introduce_broadcast(self, peer: Peer, message: Message) -> None:
        """Show a new peer where this node's broadcast socket is, if it cannot tell by itself.

        `message` is an announcement. A host that a node only names might be anybody's.
        """
        own, theirs = self.layout.broadcast, peer.layout.broadcast
        if own is None or theirs is None or not self.layout.sync or own.host == SAME_HOST:
            return
        host = peer.address.host if theirs.host == SAME_HOST else theirs.host
        self._say(Socket.BROADCAST, Address(host, theirs.port), peer, message)

    def beacons_sent(self, datagrams: int, octets: int, now: Instant) -> None:
        """Beacons were sent, on all networks."""
        self.counts.sent[BEACON] += datagrams
        traffic = self.traffic[Socket.DISCOVERY]
        traffic.datagrams_sent += datagrams
        traffic.bytes_sent += octets
        self.beacons.sent(now.monotonic)

    def say_goodbye(self) -> None:
        """The node stops: let go of all peers, so that they need not wait for it."""
        for peer in list(self.peers.values()):
            self._part(peer, Reason.STOPS)

    def _part(self, peer: Peer, reason: Reason) -> None:
        self.send(peer, Goodbye(reason))
        self._leave(peer)

    def blame(self, peer: Peer, now: Instant) -> None:
        """End the session of a peer that did what no honest node does, and shun it.

        A member is shunned by its key, in all its sessions; guests can make as many as they like.
        """
        self.book.shun(peer.address, now.monotonic)
        self._leave(peer)
        if peer.role is Role.MEMBER:
            self.book.shun_member(peer.member, now.monotonic)
            for other in [p for p in self.peers.values() if p.member == peer.member]:
                self._leave(other)

    def members_changed(self, now: Instant) -> list[Peer]:
        """The chain has moved; returns the peers whose session ended, for they were revoked."""
        ended = []
        for peer in list(self.peers.values()):
            before, peer.role = peer.role, self._local.role(peer.member)
            if peer.role is Role.REVOKED:
                self._leave(peer)
                self.book.forget_member(peer.member)
                ended.append(peer)
            elif peer.role is not before:
                self._note_met(peer, now)
        return ended

    def tick(self, now: Instant) -> None:
        """Knock, keep alive, change keys, and let go of who has been silent."""
        self._handshakes.tick(now.monotonic)
        for peer in list(self.peers.values()):
            if now.monotonic - peer.heard > SILENCE_LIMIT:
                self._note_met(peer, now)
                self._leave(peer)
            elif now.monotonic >= peer.status_due:
                self._retire_channels(peer, now)
                if peer.sending not in peer.channels:
                    self._leave(peer)
                    continue
                self._send_status(peer, now)
                # A silent one may have started anew and not know this session: it knows a knock.
                silent = now.monotonic - peer.heard > PROBE_AFTER
                newest = all(c.made <= peer.sending.made for c in peer.channels)
                due = silent or (newest and now.monotonic >= _rekey_at(peer.sending))
                if due and peer.layout.sync:
                    self._handshakes.knock(peer.address, now.monotonic)
        peers = self.peers.values()
        for address in self._seeking.knocks(peers, now.monotonic):
            self._handshakes.knock(address, now.monotonic)
        if (many := self._seeking.too_many(peers, now.monotonic)) is not None:
            self._part(many, Reason.CROWDED)
        self._post_handshakes()

    def deadline(self) -> float | None:
        """When `tick` should be called at the latest, in the monotonic clock."""
        times = [min(p.status_due, p.heard + SILENCE_LIMIT) for p in self.peers.values()]
        others = (self._seeking.deadline(self.peers.values()), self._handshakes.deadline())
        return min([*times, *(time for time in others if time is not None)], default=None)

    def hasten_statuses(self, now: Instant) -> None:
        """Let every peer know soon that this node's tip or mempool has changed."""
        for peer in self.peers.values():
            peer.status_interval = STATUS_INTERVAL
            peer.status_due = min(peer.status_due, now.monotonic + STATUS_INTERVAL / 4)

    def _send_status(self, peer: Peer, now: Instant, channel: Channel | None = None) -> None:
        sequence, echo, held = peer.next_status(now.monotonic)
        waiting = self._local.waiting()
        if len(waiting) > IDS_LIMIT:
            waiting = self._rng.sample(waiting, IDS_LIMIT)
        status = Status(self._local.tip(), sequence, echo, held, tuple(waiting))
        self._say(self._main, peer.address, peer, status, channel)
        if now.monotonic >= peer.addresses_due and peer.layout.sync and not self._seeds_only:
            self.send(peer, GetAddresses())
            peer.addresses_due = now.monotonic + ADDRESSES_INTERVAL
        # Jitter keeps the statuses of many nodes from falling into step.
        peer.status_due = now.monotonic + peer.status_interval * self._rng.uniform(0.75, 1.25)
        peer.status_interval = min(LONGEST_STATUS_INTERVAL, 1.5 * peer.status_interval)

    def _post_handshakes(self) -> None:
        outbox, self._handshakes.outbox = self._handshakes.outbox, []
        for address, data in outbox:
            self._post(self._main, address, data)

    def _say(
        self,
        socket: Socket,
        address: Address,
        peer: Peer,
        message: Message,
        channel: Channel | None = None,
    ) -> None:
        """Send a message through the newest channel, or another one of the session."""
        peer.datagrams_sent += 1
        self.counts.sent[kind_of(message)] += 1
        plaintext = wire.encode(message)
        self._post(socket, address, (channel or peer.sending).seal(plaintext), plaintext)

    def _post(
        self, socket: Socket, address: Address, data: bytes, plaintext: bytes | None = None
    ) -> None:
        if self.tap is not None:
            opened = plaintext or self._look_into(data)
            self.tap(Tapped(socket, address, True, data, opened))
        traffic = self.traffic[socket]
        traffic.datagrams_sent += 1
        traffic.bytes_sent += len(data)
        self.outbox.append(Datagram(socket, address, data))

    def _leave(self, peer: Peer) -> None:
        for channel in peer.channels[:]:
            self._drop_channel(peer, channel)
        del self.peers[peer.session]
        self.left.append(peer)


NOWHERE = Tip(bytes(32), 0, 0, 0)
"""The tip of a peer that has not said yet where it stands."""


def _announcements_to(address: Address, layout: Layout) -> Address | None:
    """Where announcements go to, to a peer at this address that has sent none itself."""
    if layout.broadcast is None:
        return None
    if not layout.sync:
        return address  # all comes from its only socket, and goes there
    at_host = layout.broadcast.host in (SAME_HOST, address.host)
    return Address(address.host, layout.broadcast.port) if at_host else None


def _is_told(peer: Peer) -> bool:
    """Whether others are told where this peer is; a link-local address says it to none of them."""
    return peer.layout.sync and peer.layout.is_open and "%" not in peer.address.host


def _rekey_at(channel: Channel) -> float:
    return channel.made + (REKEY_AFTER if channel.asked else 1.5 * REKEY_AFTER)
