"""Nodes' sessions without the nodes, and a network between them."""

import random

from edgenode.ledger.keys import MemberKey
from edgenode.protocol.instant import Instant
from edgenode.protocol.layout import SAME_HOST, Layout
from edgenode.protocol.links import (
    Links,
    Local,
)
from edgenode.protocol.roles import Role
from edgenode.protocol.wire import Address, NewTransaction, Socket, Tip

GENESIS = bytes(32)
A, B = Address("10.0.0.1", 7070), Address("10.0.0.2", 7070)
BOTH = Layout(broadcast=Address(SAME_HOST, 7071))


def at(seconds: float) -> Instant:
    return Instant(seconds, 1_700_000_000 + seconds)


def links(
    seed: int,
    *,
    ward_key=1,
    genesis=GENESIS,
    seeds=(),
    layout=BOTH,
    key=None,
    role=None,
) -> Links:
    """A node's sessions; whoever it meets is a member, unless `role` says otherwise."""
    rng = random.Random(seed)
    return Links(
        genesis_id=genesis,
        ward_key=bytes([ward_key]) * 32,
        key=key or MemberKey(rng.randbytes(32)),
        seeds=seeds,
        layout=layout,
        local=Local(lambda: Tip(bytes(32), 0, 1, 0), list, role or (lambda key: Role.MEMBER)),
        rng=rng,
        now=at(0),
    )


def exchange(a: Links, b: Links, now: Instant, rounds: int = 6) -> None:
    """Carry datagrams to and fro between A and B."""
    for _ in range(rounds):
        for sender, source, receiver, address in ((a, A, b, B), (b, B, a, A)):
            outbox, sender.outbox = sender.outbox, []
            for datagram in outbox:
                if datagram.address.host == address.host:
                    port = 7070 if datagram.socket is Socket.SYNC else 7071
                    receiver.receive(
                        datagram.socket, Address(source.host, port), datagram.data, now
                    )


def connected() -> tuple[Links, Links]:
    a, b = links(1, seeds=[B]), links(2)
    a.tick(at(0))
    exchange(a, b, at(0.1))
    assert len(a.peers) == len(b.peers) == 1
    return a, b


def only(links: Links):
    return next(iter(links.peers.values()))


def crowd(hosts: int, ports: int) -> dict[Address, Links]:
    return {
        Address(f"10.6.6.{host}", 20_000 + port): links(1000 + 100 * host + port, seeds=[A])
        for host in range(hosts)
        for port in range(ports)
    }


def meet(nodes: dict[Address, Links], seconds: int, start: int = 0) -> None:
    """Let nodes talk, each at its address, until all is said, every four seconds."""
    for second in range(start, start + seconds, 4):
        for node in nodes.values():
            node.tick(at(second))
        while any(node.outbox for node in nodes.values()):
            for source, node in nodes.items():
                outbox, node.outbox = node.outbox, []
                for datagram in outbox:
                    if datagram.address in nodes:
                        receiver = nodes[datagram.address]
                        receiver.receive(datagram.socket, source, datagram.data, at(second))


def public_of(seed: int) -> bytes:
    """The key of the member of `links(seed)`."""
    return MemberKey(random.Random(seed).randbytes(32)).public


def roles(known: dict[bytes, Role], otherwise: Role):
    return lambda key: known.get(key, otherwise)


def aged(a: Links, b: Links, seconds: int, start: int = 1, loss=None) -> None:
    """Let two nodes talk for so long, each saying something every second."""
    for second in range(start, start + seconds):
        now = at(second)
        for node, source, other in ((a, A, b), (b, B, a)):
            node.tick(now)
            if node.peers:
                node.send(only(node), NewTransaction(b"x"))
            outbox, node.outbox = node.outbox, []
            for datagram in outbox:
                if loss is None or loss.random() > 0.4:
                    other.receive(datagram.socket, source, datagram.data, now)
