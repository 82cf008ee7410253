"""The handshake between two honest nodes, with somebody between them who holds the ward key.

An input is a script: whose turn it is, what is delivered, recorded, changed, made up or signed by
the one in the middle, who has a member key of its own. Invariant:

- a message is one that codes back to its bytes, or MalformedError; `Dropped` is all that a node
  raises;
- a channel with a node is one that this node has made, and opens what the other end seals;
- nobody is taken for a node whose key it does not hold;
- what a node keeps is bounded, and no index is lost.
"""

import random
from dataclasses import replace

from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.keys import MemberKey
from edgenode.protocol import handshake_messages
from edgenode.protocol.beacon import Beacon
from edgenode.protocol.channel import Channel
from edgenode.protocol.drops import Dropped
from edgenode.protocol.gate import Gate
from edgenode.protocol.handshake import (
    HELLOS_REMEMBERED,
    OFFERS_LIMIT,
    UNCONFIRMED_LIMIT,
    Established,
    Handshakes,
)
from edgenode.protocol.handshake_messages import Accept, HandshakeMessage, Offer
from edgenode.protocol.layout import Layout
from edgenode.protocol.wire import Address

GENESIS = bytes(32)
KEYS = [MemberKey(bytes([n]) * 32) for n in range(3)]
ADDRESSES = [Address(f"10.0.0.{n + 1}", 7070) for n in range(3)]
MIDDLE = 2
STEPS_LIMIT = 64


def one_input(data: bytes) -> bool:
    """Try one input: its first byte says on what."""
    if not data:
        return False
    return message(data[1:]) if data[0] % 2 == 0 else Script(data[1:]).run()


def message(data: bytes) -> bool:
    """One message, or a beacon."""
    try:
        found = handshake_messages.decode(data)
    except MalformedError:
        return beacon(data)
    assert handshake_messages.encode(found) == data
    return True


def beacon(data: bytes) -> bool:
    """One beacon."""
    try:
        found = Beacon.decode(data)
    except MalformedError:
        return False
    assert found.encode() == data
    return True


class Node:
    """One of the honest nodes."""

    def __init__(self, number: int) -> None:
        rng = random.Random(number)
        self.address = ADDRESSES[number]
        self.gate = Gate(bytes(32), GENESIS, rng.randbytes)
        self.handshakes = Handshakes(
            gate=self.gate,
            genesis_id=GENESIS,
            key=KEYS[number],
            layout=Layout(),
            rng=rng,
            now=0.0,
        )
        self.inbox: list[bytes] = []
        self.established: list[Established] = []
        self.accepted: dict[int, Established] = {}
        self.offered: set[Offer] = set()


class Script:
    """Carries an input out."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._now = 0.0
        self._nodes = [Node(0), Node(1)]
        self._recorded: list[HandshakeMessage] = []
        self._gate = Gate(bytes(32), GENESIS, random.Random(9).randbytes)

    def run(self) -> bool:
        """Carry it out; returns whether it led to a channel."""
        for _ in range(STEPS_LIMIT):
            if self._at >= len(self._data):
                break
            self._step(self._byte())
        return any(node.established for node in self._nodes)

    def _byte(self) -> int:
        byte = self._data[self._at] if self._at < len(self._data) else 0
        self._at += 1
        return byte

    def _step(self, byte: int) -> None:
        node, other = self._nodes[byte & 1], self._nodes[byte & 1 ^ 1]
        match byte >> 1 & 7:
            case 0:
                node.handshakes.knock(other.address, self._now)
            case 1 | 2:
                if node.inbox:
                    self._deliver(node, other.address, node.inbox.pop(0))
            case 3:
                if node.inbox:
                    node.inbox.pop(0)
            case 4:
                self._now += self._byte()
                node.handshakes.tick(self._now)
            case 5:
                if self._recorded:
                    self._change(node, self._recorded[self._byte() % len(self._recorded)])
            case 6:
                length = self._byte()
                made_up = self._data[self._at : self._at + length]
                self._at += length
                self._deliver(node, self._source(), self._gate.seal(made_up))
            case 7:
                if self._recorded:
                    self._sign(node, self._recorded[self._byte() % len(self._recorded)])
        self._take(node)
        self._check(node)

    def _source(self) -> Address:
        return ADDRESSES[self._byte() % len(ADDRESSES)]

    def _change(self, node: Node, message: HandshakeMessage) -> None:
        """Say something recorded again, perhaps with a byte changed."""
        data = bytearray(handshake_messages.encode(message))
        data[self._byte() % len(data)] ^= self._byte()
        self._deliver(node, self._source(), self._gate.seal(bytes(data)))

    def _sign(self, node: Node, message: HandshakeMessage) -> None:
        """Say something recorded again under the name of the one in the middle."""
        key = KEYS[MIDDLE]
        match message:
            case Offer():
                context = message.context(GENESIS)
            case Accept():
                offers = [m for m in self._recorded if isinstance(m, Offer)]
                context = message.context(GENESIS, offers[self._byte() % len(offers)])
            case _:
                return
        who = replace(message.introduction, member=key.public).signed(key, context)
        said = handshake_messages.encode(replace(message, introduction=who))
        self._deliver(node, self._source(), self._gate.seal(said))

    def _deliver(self, node: Node, source: Address, datagram: bytes) -> None:
        try:
            made = node.handshakes.receive(source, datagram, self._now, lambda *_: None)
        except Dropped:
            return
        if made is not None:
            node.established.append(made)
            self._check_made(node, made)

    def _take(self, node: Node) -> None:
        """What a node sends reaches the inbox of the other, and the ear of the middle."""
        for unconfirmed in node.handshakes._unconfirmed.values():
            if unconfirmed.channel.local not in node.accepted:
                node.accepted[unconfirmed.channel.local] = unconfirmed
                self._check_accepted(node, unconfirmed)
        outbox, node.handshakes.outbox = node.handshakes.outbox, []
        for address, datagram in outbox:
            said = handshake_messages.decode(self._gate.open(datagram))
            self._recorded.append(said)
            if isinstance(said, Offer):
                node.offered.add(said)
            for other in self._nodes:
                if other.address == address:
                    other.inbox.append(datagram)

    def _check_made(self, node: Node, made: Established) -> None:
        other = self._nodes[1] if node is self._nodes[0] else self._nodes[0]
        assert made.who.member != node.handshakes._key.public
        if made.who.member == KEYS[MIDDLE].public:
            return
        (end,) = (
            accepted.channel
            for accepted in other.accepted.values()
            if accepted.channel.local == made.who.index
        )
        assert _opens(made.channel, end)
        assert _opens(end, made.channel)

    def _check_accepted(self, node: Node, accepted: Established) -> None:
        other = self._nodes[1] if node is self._nodes[0] else self._nodes[0]
        if accepted.who.member != KEYS[MIDDLE].public:
            assert accepted.who.member == other.handshakes._key.public
            assert accepted.who in {offer.introduction for offer in other.offered}

    def _check(self, node: Node) -> None:
        handshakes = node.handshakes
        assert len(handshakes._knocks) <= HELLOS_REMEMBERED
        assert len(handshakes._offered) <= OFFERS_LIMIT
        assert len(handshakes._answered) <= UNCONFIRMED_LIMIT
        assert len(handshakes._unconfirmed) <= UNCONFIRMED_LIMIT
        assert handshakes._indices == {
            *handshakes._offered,
            *handshakes._unconfirmed,
            *(made.channel.local for made in node.established),
        }


def _opens(sender: Channel, receiver: Channel) -> bool:
    return receiver.open(sender.seal(b"said"), 0.0) == b"said"
