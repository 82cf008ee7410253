"""Which sockets a node has, and what goes where between nodes that have others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.ledger.encoding import MalformedError, Reader
from edgenode.protocol import wire
from edgenode.protocol.layout import SAME_HOST, Layout
from edgenode.protocol.links import Links
from edgenode.protocol.wire import (
    Address,
    GetAddresses,
    GetChunks,
    GetHeaders,
    NewTransaction,
    ObjectKind,
    Socket,
    Status,
)
from tests.protocol.meeting import BOTH, A, B, at, links, meet, only

SYNC_ONLY = Layout()
LISTENER = Layout(sync=False, broadcast=Address(SAME_HOST, 7071))
ELSEWHERE = Layout(broadcast=Address("10.0.9.9", 7071))
CLOSED = Layout(broadcast=Address(SAME_HOST, 7071), is_open=False)
NEWS = NewTransaction(b"news")


def where(layout: Layout, host: str) -> dict[Socket, Address]:
    """The addresses of a node's sockets."""
    found = {Socket.SYNC: Address(host, 7070)} if layout.sync else {}
    if layout.broadcast is not None:
        found[Socket.BROADCAST] = Address(layout.broadcast.host or host, layout.broadcast.port)
    return found


class Pair:
    """Two nodes with a session; `carried` is what went between them since."""

    def __init__(self, first: Layout, second: Layout) -> None:
        self.nodes = {
            "10.0.0.1": links(1, layout=first),
            "10.0.0.2": links(2, layout=second, seeds=[A]),
        }
        self.places = {host: where(node.layout, host) for host, node in self.nodes.items()}
        self.a, self.b = self.nodes.values()
        self.carried: list[tuple[Socket, Socket, object]] = []
        for second_ in range(10):
            self.step(second_)

    def step(self, second: float) -> None:
        """Let all be said that there is to say."""
        for node in self.nodes.values():
            node.tick(at(second))
        self.carry(second)

    def carry(self, second: float) -> None:
        while any(node.outbox for node in self.nodes.values()):
            for host, node in self.nodes.items():
                outbox, node.outbox = node.outbox, []
                for datagram in outbox:
                    source = self.places[host][datagram.socket]
                    self._deliver(datagram, source, second)

    def _deliver(self, datagram, source, second) -> None:
        for host, places in self.places.items():
            for socket, address in places.items():
                if address == datagram.address:
                    said = self.nodes[host].receive(socket, source, datagram.data, at(second))
                    if said is not None:
                        self.carried.append((datagram.socket, socket, said[1]))

    def news_from(self, node: Links) -> list[tuple[Socket, Socket]]:
        """From which socket to which a node's announcement goes."""
        self.carried.clear()
        for peer in node.listeners():
            node.send(peer, NEWS, Socket.BROADCAST)
        self.carry(20)
        return [(sent, taken) for sent, taken, what in self.carried if what == NEWS]


@pytest.mark.parametrize("layout", [BOTH, SYNC_ONLY, LISTENER, ELSEWHERE, CLOSED])
def test_a_layout_codes_to_nineteen_bytes_and_back(layout):
    data = layout.encode()
    assert len(data) == 19
    assert Layout.read(Reader(data)) == layout


@given(st.binary(min_size=19, max_size=19))
def test_what_is_read_as_a_layout_codes_to_the_same_bytes(data):
    for candidate in (data, bytes([data[0] % 3]) + bytes(16) + data[17:]):
        try:
            layout = Layout.read(Reader(candidate))
        except MalformedError:
            continue
        assert layout.encode() == candidate


def test_a_node_without_a_socket_is_none():
    with pytest.raises(ValueError, match="without a socket"):
        Layout(sync=False)


def test_news_goes_from_broadcast_socket_to_broadcast_socket():
    pair = Pair(BOTH, BOTH)
    for node in (pair.a, pair.b):
        assert pair.news_from(node) == [(Socket.BROADCAST, Socket.BROADCAST)]


def test_a_node_without_a_broadcast_socket_makes_and_gets_no_announcements():
    pair = Pair(BOTH, SYNC_ONLY)
    assert pair.news_from(pair.a) == pair.news_from(pair.b) == []
    assert len(pair.a.peers) == len(pair.b.peers) == 1


def test_all_comes_to_a_listener_by_its_only_socket():
    pair = Pair(BOTH, LISTENER)
    assert only(pair.a).address == Address("10.0.0.2", 7071)
    assert pair.news_from(pair.a) == [(Socket.SYNC, Socket.BROADCAST)]
    assert pair.news_from(pair.b) == [(Socket.BROADCAST, Socket.BROADCAST)]
    pair.a.send(only(pair.a), wire.Absent(ObjectKind.BLOCK, bytes(32)))
    pair.carry(21)
    assert pair.carried[-1] == (
        Socket.SYNC,
        Socket.BROADCAST,
        wire.Absent(ObjectKind.BLOCK, bytes(32)),
    )


def test_a_listener_serves_nothing_and_nobody_is_told_of_it():
    pair = Pair(BOTH, LISTENER)
    listener, other = pair.b, pair.a
    dropped = listener.traffic[Socket.BROADCAST].dropped
    for n, message in enumerate(
        (
            GetAddresses(),
            GetHeaders((bytes(32),)),
            GetChunks(ObjectKind.BLOCK, bytes(32), 1, ((0, 1),)),
        ),
        1,
    ):
        other.send(only(other), message)
        pair.carry(20)
        assert dropped["not_served"] == n
    other._handshakes.knock(Address("10.0.0.2", 7071), 20)
    other._post_handshakes()
    pair.carry(20)
    assert dropped["not_served"] == 4
    assert pair.a.book.due(set(), 1e6, pair.a._rng) == []
    third = links(3, seeds=[A])
    pair.nodes["10.0.0.3"], pair.places["10.0.0.3"] = third, where(BOTH, "10.0.0.3")
    for second in range(100, 200):
        pair.step(second)
    assert len(third.peers) == 2, "the listener has knocked"
    third.send(only(third), GetAddresses())
    pair.carry(200)
    assert Address("10.0.0.2", 7071) not in third.book._doors


def test_a_node_with_two_sockets_refuses_handshakes_and_questions_on_the_broadcast_socket():
    pair = Pair(BOTH, BOTH)
    status = only(pair.a).sending.seal(wire.encode(Status(only(pair.a).tip, 9, 0, 0, ())))
    hello = links(7, seeds=[A])
    hello.tick(at(0))
    for datagram in (status, hello.outbox[0].data):
        assert pair.b.receive(Socket.BROADCAST, Address("10.0.0.1", 7071), datagram, at(20)) is None
    assert pair.b.traffic[Socket.BROADCAST].dropped["wrong_socket"] == 2


def test_a_broadcast_socket_on_another_device_is_believed_once_something_came_from_there():
    pair = Pair(BOTH, ELSEWHERE)
    moved, other = pair.b, pair.a
    assert only(other).broadcast is None, "it might be anybody's"
    assert pair.news_from(other) == []
    moved.introduce_broadcast(only(moved), NEWS)
    pair.carry(20)
    assert only(other).broadcast == ELSEWHERE.broadcast
    assert pair.news_from(other) == [(Socket.BROADCAST, Socket.BROADCAST)]
    assert pair.news_from(moved) == [(Socket.BROADCAST, Socket.BROADCAST)]


def test_a_node_whose_broadcast_socket_is_where_it_seems_to_be_introduces_nothing():
    pair = Pair(BOTH, BOTH)
    pair.a.introduce_broadcast(only(pair.a), NEWS)
    assert pair.a.outbox == []


def test_news_from_a_third_host_is_dropped():
    pair = Pair(BOTH, ELSEWHERE)
    sealed = only(pair.b).sending.seal(wire.encode(NEWS))
    assert pair.a.receive(Socket.BROADCAST, Address("10.6.6.6", 7071), sealed, at(20)) is None
    assert pair.a.traffic[Socket.BROADCAST].dropped["moved"] == 1
    assert only(pair.a).broadcast is None


def test_news_goes_to_the_port_that_a_router_has_put_in_place_of_the_nodes_own():
    pair = Pair(BOTH, BOTH)
    sealed = only(pair.b).sending.seal(wire.encode(NEWS))
    mapped = Address("10.0.0.2", 61_234)
    assert pair.a.receive(Socket.BROADCAST, mapped, sealed, at(20)) is not None
    assert only(pair.a).broadcast == mapped


def test_with_seeds_only_no_other_comes_in_or_is_sought():
    seed, other = links(1), links(2, seeds=[A])
    inner = links(3, seeds=[A], layout=CLOSED)
    nodes = {A: seed, B: inner, Address("10.0.0.3", 7070): other}
    meet(nodes, 100)
    assert [peer.address for peer in inner.peers.values()] == [A]
    assert [peer.address for peer in other.peers.values()] == [A]
    assert Address("10.0.0.2", 7070) not in other.book._doors, "nobody is told of it"
    knocking = links(4, seeds=[B])
    meet({**nodes, Address("10.0.0.4", 7070): knocking}, 20, start=100)
    assert knocking.peers == {}
    assert inner.traffic[Socket.SYNC].dropped["no_seed"] > 0
