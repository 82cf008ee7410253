"""A box gone bad: it holds the ward's key and speaks the real protocol over real sockets."""

import contextlib
import itertools
import random
import select
import socket
import time
from dataclasses import replace
from typing import ClassVar

import numpy as np

from demo.ward import LOOPBACK
from edgenode.gossip.start_up import genesis_parameters
from edgenode.ledger.chain import Chain
from edgenode.ledger.hashes import piece_hashes, piece_list
from edgenode.ledger.keys import MemberKey
from edgenode.protocol.instant import Instant
from edgenode.protocol.layout import SAME_HOST, Layout
from edgenode.protocol.node import Node
from edgenode.protocol.wire import Address, NewBlock, NewTransaction, ObjectKind, Socket, Tip
from edgenode.storage.chain import SqliteChainStore
from edgenode.storage.keyfile import read_key
from tests.ledger.builder import Bench, mined
from tests.ward.wards import PATIENCE_S


class WardBench(Bench):
    """Makes blocks and updates, right and wrong ones, on the chain of a real ward."""

    def __init__(self, ward, miner):
        """`miner` is the key of the member that mines what is not said to be another's."""
        self.genesis = ward.genesis
        self.miner = miner
        self.other = next(box.key for box in ward.boxes if box.key.public != miner.public)
        self._deltas = itertools.count(1)
        self.store = SqliteChainStore(":memory:", self.genesis.id)
        self.chain = Chain(self.genesis, genesis_parameters(self.genesis), self.store)

    def block(self, *transactions, miner=None, seconds=None):
        """A valid block of now: a second after each other, some of them would be too new."""
        if seconds is None:
            seconds = int(time.time()) - self.chain.head.header.time
        return super().block(*transactions, miner=miner or self.miner, seconds=seconds)

    def sealed(self, block, miner=None):
        return super().sealed(block, miner or self.miner)

    def signed(self, block, miner=None):
        return super().signed(block, miner or self.miner)

    def update(self, member=None, **changes):
        """An update with a payload of its own: a payload serves every update that names it."""
        vector = np.full(self.genesis.models[0].parameters, next(self._deltas), np.int32)
        return super().update(member or self.miner, vector, **changes)

    def with_header(self, block, **changes):
        """The block with other header fields, mined and signed anew."""
        return self.signed(replace(block, header=mined(replace(block.header, **changes))))

    def with_coinbase(self, block, **changes):
        """The block with other coinbase fields, sealed anew."""
        coinbase = replace(block.coinbase, **changes)
        return self.sealed(replace(block, transactions=(coinbase, *block.transactions[1:])))


class _ForgingNode(Node):
    """Serves what it is told to serve, whatever name it has."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.forged = {}

    def _object(self, kind, name):
        if kind is ObjectKind.PIECES and (forged := self.forged.get((ObjectKind.PAYLOAD, name))):
            return piece_list(len(forged), piece_hashes(forged))
        return self.forged.get((kind, name)) or super()._object(kind, name)


class HostileMember:
    """One session with a real node, by ports and a key of its own: who is blamed is shunned."""

    _ports: ClassVar[set[int]] = set()
    """Those that members had: the kernel gives a port again, in one of some fifty runs."""

    def __init__(self, ward, box, bench):
        self._sockets = {kind: self._bound() for kind in (Socket.SYNC, Socket.BROADCAST)}
        self.node = _ForgingNode(
            chain=bench.chain,
            store=bench.store,
            ward_key=read_key(ward.plan.directory / "ward.key"),
            key=MemberKey.generate(),
            seeds=[Address(box.host, box.sync)],
            layout=Layout(broadcast=Address(SAME_HOST, self._port_of(Socket.BROADCAST))),
            rng=random.SystemRandom(),
            now=_now(),
        )
        self._box = box

    def _bound(self):
        while True:
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind((LOOPBACK, 0))
            port = udp.getsockname()[1]
            if port not in self._ports:
                self._ports.add(port)
                udp.setblocking(False)
                return udp
            udp.close()

    def _port_of(self, kind):
        return self._sockets[kind].getsockname()[1]

    def __enter__(self):
        self.run_until(lambda: self.node.links.peers, "a session with the node")
        return self

    def __exit__(self, *_):
        """Leave so that the node ends the session: it must not wait for answers from here."""
        self.announce(NewTransaction(b"\xff"))
        self.run_until(lambda: not self._box.client.peers(), "the session to be over")
        for udp in self._sockets.values():
            udp.close()

    @property
    def peer(self):
        """The real node."""
        return next(iter(self.node.links.peers.values()))

    def run_until(self, condition, what):
        """Speak the protocol until the condition holds."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, f"waited in vain for {what}"
            self._turn()

    def announce(self, message):
        """Send an announcement on the broadcast socket, as a node does."""
        self.node.links.send(self.peer, message, Socket.BROADCAST)

    def offer_update(self, update, payload):
        """Announce an update and serve these bytes for its payload."""
        self.node.forged[ObjectKind.PAYLOAD, update.payload] = payload
        self.announce(NewTransaction(update.encode()))

    def offer_block(self, block, *payloads):
        """Announce a block as the best there is, and serve it and these (update, payload)."""
        self.node.forged[ObjectKind.BLOCK, block.id] = block.encode()
        for update, payload in payloads:
            self.node.forged[ObjectKind.PAYLOAD, update.payload] = payload
        head = self.node.chain.head
        tip = Tip(block.id, head.height + 1, head.work + (1 << 40), 0)
        self.announce(NewBlock(block.header, tip))

    def _turn(self):
        self.node.tick(_now())
        self._flush()
        readable, _, _ = select.select(list(self._sockets.values()), [], [], 0.02)
        for kind, udp in self._sockets.items():
            if udp in readable:
                with contextlib.suppress(BlockingIOError):
                    while True:
                        data, source = udp.recvfrom(2048)
                        self.node.receive(kind, Address(*source), data, _now())
        self._flush()

    def _flush(self):
        datagrams, _ = self.node.drain()
        for datagram in datagrams:
            with contextlib.suppress(ConnectionRefusedError):
                self._sockets[datagram.socket].sendto(datagram.data, tuple(datagram.address))


def _now():
    return Instant(time.monotonic(), time.time())
