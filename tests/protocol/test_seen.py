"""What a node says of its traffic: by kind, by reason, how long blocks take."""

from edgenode.protocol.adoptions import HEARD_LIMIT, Adoptions
from edgenode.protocol.tap import Tapped
from edgenode.protocol.wire import Address, NewTransaction, Socket, kind_of
from edgenode.sim.ward import Conditions, Ward
from tests.protocol.meeting import A, B, at, connected, links, meet, only


def test_messages_are_counted_by_kind_on_both_sides():
    a, b = connected()
    assert a.counts.sent["hello"] == a.counts.sent["offer"] == 1
    assert b.counts.received["hello"] == b.counts.received["offer"] == 1
    assert b.counts.sent["welcome"] == a.counts.received["accept"] == 1
    before = b.counts.received["new_transaction"]
    a.send(only(a), NewTransaction(b"x"), Socket.BROADCAST)
    b.receive(Socket.BROADCAST, Address(A.host, 7071), a.outbox.pop().data, at(1))
    assert a.counts.sent["new_transaction"] == 1
    assert b.counts.received["new_transaction"] == before + 1


def test_offers_that_are_repeated_are_counted_as_such():
    a, b = links(1, seeds=[B]), links(2)
    a.tick(at(0))
    b.receive(Socket.SYNC, A, a.outbox.pop().data, at(0))
    a.receive(Socket.SYNC, B, b.outbox.pop().data, at(0.1))
    for second in range(1, 30):
        a.tick(at(second))
    assert a.counts.resent["offer"] == 5
    assert a.counts.sent["offer"] == 6


def test_a_beacon_is_counted_where_it_is_heard():
    a, b = links(1), links(2)
    datagram = a.beacons.seal(A)
    a.beacons_sent(1, len(datagram), at(0))
    b.receive(Socket.DISCOVERY, Address(A.host, 40_000), datagram, at(0))
    assert a.counts.sent["beacon"] == b.counts.received["beacon"] == 1
    assert a.traffic[Socket.DISCOVERY].bytes_sent == len(datagram)
    meet({A: a, B: b}, 8)
    assert len(b.peers) == 1


def test_a_tap_sees_each_datagram_opened_and_why_it_was_dropped():
    a, b = connected()
    seen: list[Tapped] = []
    a.tap = b.tap = seen.append
    a.send(only(a), NewTransaction(b"news"))
    datagram = a.outbox.pop()
    for _ in range(2):
        b.receive(Socket.SYNC, A, datagram.data, at(1))
    b.receive(Socket.SYNC, A, b"\2" + bytes(99), at(1))
    b.receive(Socket.SYNC, A, links(1).beacons.seal(A), at(1))
    sent, taken, again, noise, gate = seen
    assert sent.sent
    assert not taken.sent
    assert sent.plaintext == taken.plaintext
    assert sent.plaintext is not None
    assert sent.plaintext[1:] == b"news"
    assert (taken.dropped, again.dropped) == (None, "replayed")
    assert (noise.plaintext, noise.dropped) == (None, "unsealed")
    assert gate.plaintext is not None
    assert gate.plaintext[0] == 5
    assert (sent.address, taken.address, taken.socket) == (B, A, Socket.SYNC)


def test_a_kind_is_called_as_its_message():
    assert kind_of(NewTransaction(b"")) == "new_transaction"


def test_blocks_of_others_are_timed_from_the_first_word_of_them():
    ward = Ward(4, 3, Conditions(loss=0.1))
    ward.run(900)
    height = ward.boxes[0].running.chain.head.height
    for box in ward.boxes:
        adoptions = box.running.adoptions
        assert 0 < adoptions.count < height
        assert adoptions.last is not None
        assert 0 < adoptions.seconds < 10 * adoptions.count
        sent, resent = box.running.links.counts.sent, box.running.resent
        assert sent["get_chunks"]
        assert 0 < resent["chunk"] < 8 * sent["get_chunks"]


def test_what_was_said_of_heads_is_bounded_and_a_head_counts_once():
    adoptions = Adoptions()
    adoptions.heard(b"one", 1.0)
    adoptions.heard(b"one", 5.0)
    adoptions.adopted(b"one", 7.0)
    assert (adoptions.count, adoptions.last) == (1, 6.0)
    adoptions.adopted(b"one", 90.0)
    adoptions.adopted(b"own", 95.0)
    adoptions.heard(b"own", 96.0)
    adoptions.adopted(b"own", 99.0)
    assert adoptions.count == 1
    for n in range(4 * HEARD_LIMIT):
        adoptions.heard(n.to_bytes(2), 0.0)
    assert len(adoptions._heard) == HEARD_LIMIT
