import random

import pytest

from edgenode.ledger.keys import MemberKey
from edgenode.protocol import wire
from edgenode.protocol.links import (
    SILENCE_LIMIT,
    Links,
)
from edgenode.protocol.roles import Role
from edgenode.protocol.wire import Address, NewTransaction, Socket, Status, Tip
from tests.protocol.meeting import (
    A,
    B,
    aged,
    at,
    connected,
    exchange,
    links,
    meet,
    only,
    public_of,
    roles,
)

STRANGER = Address("10.6.6.6", 666)


def test_a_knock_makes_a_session_on_both_sides():
    a, b = connected()
    assert only(a).address == B
    assert only(b).address == A
    assert only(a).broadcast == Address("10.0.0.2", 7071)


@pytest.mark.parametrize("garbage", [b"", b"\x01" * 65, b"\x01" * 1200, b"\x00" * 9000])
def test_strangers_get_no_reply_to_garbage(garbage):
    node = links(1)
    assert node.receive(Socket.SYNC, STRANGER, garbage, at(0)) is None
    assert node.outbox == []


@pytest.mark.parametrize("stranger", [{"ward_key": 2}, {"genesis": b"\1" * 32}])
def test_a_node_with_another_key_or_genesis_gets_no_reply(stranger):
    node, other = links(1), links(2, seeds=[A], **stranger)
    other.tick(at(0))
    node.receive(Socket.SYNC, B, other.outbox[0].data, at(0))
    assert node.outbox == []
    assert node.peers == {}


def test_a_session_comes_about_whatever_part_of_its_beginning_is_lost():
    for seed in range(40):
        rng = random.Random(seed)
        a, b = links(1, seeds=[B]), links(2)
        for step in range(400):
            now = at(step / 4)
            a.tick(now)
            b.tick(now)
            for node in (a, b):
                node.outbox = [d for d in node.outbox if rng.random() > 0.5]
            exchange(a, b, now, rounds=1)
            if a.peers and b.peers:
                break
        assert a.peers
        assert b.peers
        a.send(only(a), NewTransaction(b"x"))
        assert b.receive(Socket.SYNC, A, a.outbox.pop().data, now) is not None
        b.send(only(b), NewTransaction(b"x"))
        assert a.receive(Socket.SYNC, B, b.outbox.pop().data, now) is not None


def test_a_session_that_ended_cannot_be_replayed():
    a, b = connected()
    a.send(only(a), NewTransaction(b"x"))
    recorded = a.outbox.pop().data
    b.receive(Socket.SYNC, A, recorded, at(1))
    b.tick(at(SILENCE_LIMIT + 2))
    assert b.peers == {}
    assert b.receive(Socket.SYNC, STRANGER, recorded, at(SILENCE_LIMIT + 3)) is None
    assert b.peers == {}


def test_a_replayed_datagram_is_dropped():
    a, b = connected()
    a.send(only(a), NewTransaction(b"x"))
    datagram = a.outbox.pop()
    assert b.receive(Socket.SYNC, A, datagram.data, at(1)) is not None
    assert b.receive(Socket.SYNC, A, datagram.data, at(1)) is None
    assert b.traffic[Socket.SYNC].dropped["replayed"] == 1


def test_a_recording_played_to_a_restarted_node_is_dropped():
    a, _ = connected()
    a.send(only(a), NewTransaction(b"x"))
    recorded = a.outbox.pop().data
    restarted = links(3)
    assert restarted.receive(Socket.SYNC, A, recorded, at(2)) is None
    assert restarted.outbox == []
    assert restarted.traffic[Socket.SYNC].dropped["no_session"] == 1


def test_the_broadcast_socket_takes_announcements_only():
    a, b = connected()
    a.send(only(a), NewTransaction(b"x"), Socket.BROADCAST)
    datagram = a.outbox.pop()
    assert datagram.address == Address("10.0.0.2", 7071)
    assert b.receive(Socket.BROADCAST, Address("10.0.0.1", 7071), datagram.data, at(1)) is not None
    status = Status(Tip(bytes(32), 0, 0, 0), 1, 0, 0, ())
    sealed = only(a).sending.seal(wire.encode(status))
    assert b.receive(Socket.BROADCAST, A, sealed, at(1)) is None
    assert b.traffic[Socket.BROADCAST].dropped["wrong_socket"] == 1


def test_a_silent_peer_is_let_go_and_found_again():
    a, b = connected()
    a.tick(at(SILENCE_LIMIT + 1))
    assert a.peers == {}
    a.outbox.clear()
    a.tick(at(SILENCE_LIMIT + 2))
    assert [d.address for d in a.outbox] == [B]
    b.tick(at(SILENCE_LIMIT + 1))
    exchange(a, b, at(SILENCE_LIMIT + 2.1))
    assert len(a.peers) == 1


def test_a_peer_that_restarted_takes_the_place_of_its_old_session():
    a, _ = connected()
    anew = links(7, seeds=[A])
    anew.tick(at(5))
    for _ in range(4):
        exchange(a, anew, at(5.1))
    assert [peer.instance for peer in a.peers.values()] == [anew.instance]


def test_status_echoes_measure_the_round_trip():
    a, b = connected()
    b.outbox.clear()
    for n in range(1, 6):
        a.tick(at(n * 3))
        a.outbox, ours = [], a.outbox
        for datagram in ours:
            b.receive(datagram.socket, A, datagram.data, at(n * 3 + 0.02))
        b.tick(at(n * 3 + 2.9))
        b.outbox, theirs = [], b.outbox
        for datagram in theirs:
            a.receive(datagram.socket, B, datagram.data, at(n * 3 + 2.92))
    assert only(a).flow.round_trip.smoothed == pytest.approx(0.04, rel=0.5)


def test_a_node_that_hears_itself_knocks_there_seldom_but_strikes_nothing_out():
    node = links(1, seeds=[A])
    knocks = 0
    for second in range(600):
        node.tick(at(second))
        knocks += len(node.outbox)
        while node.outbox:
            node.receive(Socket.SYNC, A, node.outbox.pop().data, at(second))
    assert knocks < 2 * 20, "each knock and its answer"
    assert node.peers == {}


def test_a_blamed_member_is_shunned_in_all_its_sessions_however_many_guests_are_blamed_as_well():
    key = MemberKey(random.Random(2).randbytes(32))
    role = roles({key.public: Role.MEMBER}, otherwise=Role.GUEST)
    node = links(1, role=role)
    clones = {Address(f"10.1.1.{n}", 7070): links(10 + n, seeds=[A], key=key) for n in range(3)}
    meet({A: node, **clones}, 8)
    assert len(node.peers) == 3
    node.blame(only(node), at(9))
    assert node.peers == {}
    for n in range(300):
        guest = {Address(f"10.2.{n // 250}.{n % 250 + 1}", 7070): links(100 + n, seeds=[A])}
        meet({A: node, **guest}, 1, start=10 + n)
        node.blame(only(node), at(10 + n))
    meet({A: node, Address("10.3.3.3", 7070): links(5, seeds=[A], key=key)}, 40, start=320)
    assert node.peers == {}
    assert len(node.book._shunned_members) == 1


def test_a_blamed_peer_is_shunned_by_its_address_and_by_its_key():
    a, b = connected()
    a.blame(only(a), at(1))
    b.send(only(b), NewTransaction(b"x"))
    assert a.receive(Socket.SYNC, B, b.outbox.pop().data, at(2)) is None
    a.outbox.clear()
    a.tick(at(500))
    assert a.outbox == []
    elsewhere = links(3, seeds=[A], key=MemberKey(random.Random(2).randbytes(32)))
    elsewhere.tick(at(500))
    meet({A: a, Address("10.0.0.9", 7070): elsewhere}, 40, start=500)
    assert a.peers == {}
    assert a.traffic[Socket.SYNC].dropped["shunned"] > 1
    a.tick(at(700))
    assert B in {d.address for d in a.outbox}
    meet({A: a, Address("10.0.0.9", 7070): elsewhere}, 100, start=700)
    assert len(a.peers) == 1


def test_only_its_own_host_speaks_for_a_peer():
    a, b = connected()
    a._send_status(only(a), at(2))
    datagram = a.outbox.pop().data
    assert b.receive(Socket.SYNC, STRANGER, datagram, at(1)) is None
    assert b.traffic[Socket.SYNC].dropped == {"moved": 1}
    assert b.receive(Socket.SYNC, A, datagram, at(2)) is not None, "it was not used up"
    assert only(b).heard == 2


def test_a_node_that_answers_from_another_of_its_addresses_is_reached_there():
    alias = Address("10.0.0.22", 7070)
    a, b = links(1, seeds=[alias]), links(2)
    a.tick(at(0))
    for _ in range(6):
        for sender, source, receiver in ((a, A, b), (b, B, a)):
            outbox, sender.outbox = sender.outbox, []
            for datagram in outbox:
                port = 7070 if datagram.socket is Socket.SYNC else 7071
                answer_from = Address(source.host, port)
                receiver.receive(datagram.socket, answer_from, datagram.data, at(0.1))
    assert (only(a).address, only(b).address) == (B, A)


def test_a_peer_that_moved_proves_its_new_address_and_goes_on():
    a, b = connected()
    moved = Address("10.0.0.9", 7070)
    for second in range(1, 60):
        for node in (a, b):
            node.tick(at(second))
        for _ in range(4):
            outbox, a.outbox = a.outbox, []
            for datagram in outbox:
                port = 7070 if datagram.socket is Socket.SYNC else 7071
                b.receive(datagram.socket, Address(moved.host, port), datagram.data, at(second))
            outbox, b.outbox = b.outbox, []
            for datagram in outbox:
                if datagram.address.host == moved.host:
                    port = 7070 if datagram.socket is Socket.SYNC else 7071
                    source = Address(B.host, port)
                    a.receive(datagram.socket, source, datagram.data, at(second))
        if only(b).address == moved:
            break
    else:
        pytest.fail("it was never heard again")


def test_a_member_that_is_revoked_is_let_go_and_not_let_in_again():
    standing = {public_of(2): Role.MEMBER}
    node = links(1, role=roles(standing, otherwise=Role.GUEST))
    other = links(2, seeds=[A])
    meet({A: node, B: other}, 8)
    assert [peer.role for peer in node.peers.values()] == [Role.MEMBER]
    standing[public_of(2)] = Role.REVOKED
    assert [peer.address for peer in node.members_changed(at(200))] == [B]
    assert node.peers == {}
    other.send(only(other), NewTransaction(b"x"))
    assert node.receive(Socket.SYNC, B, other.outbox.pop().data, at(9)) is None
    meet({A: node, B: other}, 200, start=9)
    assert node.peers == {}
    assert node.traffic[Socket.SYNC].dropped["revoked"] > 0
    standing[public_of(2)] = Role.MEMBER
    meet({A: node, B: other}, 100, start=210)
    assert len(node.peers) == 1


def test_a_peer_that_was_enrolled_is_no_guest_any_more():
    standing: dict[bytes, Role] = {}
    node = links(1, role=roles(standing, otherwise=Role.GUEST))
    meet({A: node, B: links(2, seeds=[A])}, 8)
    assert only(node).role is Role.GUEST
    standing[public_of(2)] = Role.MEMBER
    assert node.members_changed(at(8)) == []
    assert only(node).role is Role.MEMBER


def passed_on(a: Links, b: Links, by: Address, seconds: int, start: int = 1) -> None:
    """Let A and B talk; what they send to `by` comes to the other, as if `by` had sent it."""
    for second in range(start, start + seconds):
        now = at(second)
        for node, source, other in ((a, A, b), (b, B, a)):
            node.tick(now)
            if node.peers:
                node.send(only(node), NewTransaction(b"x"))
            outbox, node.outbox = node.outbox, []
            for datagram in outbox:
                whence = by if datagram.address == by else source
                other.receive(datagram.socket, whence, datagram.data, now)


def test_who_passes_a_handshake_on_moves_no_session_that_stands():
    """Without any key: what a stranger passes on is genuine, but does not show the way there."""
    a, b = connected()
    relay = Address("10.0.0.66", 7070)
    a.book.learn(relay, 0)
    b.book.add_seed(relay, 0)
    sessions = only(a), only(b)
    sent = a.traffic[Socket.SYNC].datagrams_sent
    passed_on(a, b, relay, 300)
    assert (only(a), only(b)) == sessions
    assert (only(a).address, only(b).address) == (B, A)
    assert only(b).datagrams_received >= 300
    assert a.traffic[Socket.SYNC].datagrams_sent - sent < 300 + 300 / 2, "and costs little"


def test_a_peer_with_two_addresses_keeps_its_session_at_one_of_them():
    a, b = links(1), links(2)
    other = Address("2001:db8::2", 7070)
    a.book.add_seed(B, 0)
    a.book.add_seed(other, 0)
    offers = 0
    for second in range(300):
        a.tick(at(second))
        b.tick(at(second))
        for _ in range(6):
            outbox, a.outbox = a.outbox, []
            for datagram in outbox:
                offers += len(datagram.data) == 216
                # By the other address it comes from another one of A's, too.
                source = A if datagram.address == B else Address("2001:db8::1", 7070)
                b.receive(datagram.socket, source, datagram.data, at(second))
            outbox, b.outbox = b.outbox, []
            for datagram in outbox:
                source = B if datagram.address == A else other
                a.receive(datagram.socket, source, datagram.data, at(second))
    assert len(a.peers) == 1
    assert offers < 50, "each knock is heard six times and refused"


@pytest.mark.parametrize("delay", [0.005, 0.02, 0.3])
def test_both_may_knock_before_they_hear_of_each_other(delay):
    a, b = links(1, seeds=[B]), links(2, seeds=[A])
    on_the_way: list[tuple[float, Links, Address, Socket, bytes]] = []
    last_heard = {a: 0.0, b: 0.0}
    longest = 0.0
    for step in range(0, 200_000, 5):
        time = step / 1000
        now = at(time)
        for node, source, other in ((a, A, b), (b, B, a)):
            if step % 1000 == 0:
                node.tick(now)
                if node.peers:
                    node.send(only(node), NewTransaction(b"x"))
            outbox, node.outbox = node.outbox, []
            for d in outbox:
                on_the_way.append((time + delay, other, source, d.socket, d.data))
        while on_the_way and on_the_way[0][0] <= time:
            _, receiver, source, socket, data = on_the_way.pop(0)
            if receiver.receive(socket, source, data, now) is not None:
                longest = max(longest, time - last_heard[receiver])
                last_heard[receiver] = time
    assert len(a.peers) == len(b.peers) == 1
    assert longest < 3
    for node in (a, b):
        assert node.traffic[Socket.SYNC].dropped["no_session"] == 0


def test_both_may_ask_for_a_session_at_the_same_time():
    a, b = links(1, seeds=[B]), links(2, seeds=[A])
    for second in range(60):
        for node in (a, b):
            node.tick(at(second))
        exchange(a, b, at(second + 0.1))
    assert len(a.peers) == len(b.peers) == 1
    heard = only(a).datagrams_received, only(b).datagrams_received
    aged(a, b, 100, start=61)
    assert only(a).datagrams_received >= heard[0] + 100
    assert only(b).datagrams_received >= heard[1] + 100
