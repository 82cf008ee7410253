import random

import pytest

from edgenode.ledger.keys import MemberKey
from edgenode.protocol import wire
from edgenode.protocol.book import AddressBook
from edgenode.protocol.handshake import COOKIE_TIME, UNCONFIRMED_TIME
from edgenode.protocol.instant import Instant
from edgenode.protocol.links import (
    CHANNELS_LIMIT,
    KEY_LIFETIME,
    REKEY_AFTER,
    SILENCE_LIMIT,
    Links,
    Local,
)
from edgenode.protocol.places import (
    GUEST_PLACES,
    HOST_LIMIT,
    KNOCKED_PLACES,
    MEMBER_SESSIONS,
    PEERS_LIMIT,
    SEED_PLACES,
)
from edgenode.protocol.roles import Role
from edgenode.protocol.wire import Address, NewTransaction, Socket, Status, Tip

GENESIS = bytes(32)
A, B = Address("10.0.0.1", 7070), Address("10.0.0.2", 7070)
STRANGER = Address("10.6.6.6", 666)


def at(seconds: float) -> Instant:
    return Instant(seconds, 1_700_000_000 + seconds)


def links(
    seed: int, *, ward_key=1, genesis=GENESIS, seeds=(), broadcast=7071, key=None, role=None
) -> Links:
    """A node's sessions; whoever it meets is a member, unless `role` says otherwise."""
    rng = random.Random(seed)
    return Links(
        genesis_id=genesis,
        ward_key=bytes([ward_key]) * 32,
        key=key or MemberKey(rng.randbytes(32)),
        seeds=seeds,
        broadcast_port=broadcast,
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


def test_announcements_to_a_node_without_broadcast_socket_go_to_its_sync_socket():
    a, b = links(1, seeds=[B]), links(2, broadcast=0)
    a.tick(at(0))
    exchange(a, b, at(0.1))
    a.send(only(a), NewTransaction(b"x"), Socket.BROADCAST)
    assert a.outbox[-1].socket is Socket.SYNC
    assert a.outbox[-1].address == B


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
        guest = {Address(f"10.2.{n}.1", 7070): links(100 + n, seeds=[A])}
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


def test_one_host_with_many_ports_leaves_places_for_others():
    node, honest = links(1), links(2, seeds=[A])
    nodes = {A: node, **crowd(1, 100)}
    meet(nodes, 8)
    assert len(node.peers) == HOST_LIMIT
    meet({**nodes, B: honest}, 60, start=8)
    assert B in {peer.address for peer in node.peers.values()}


def test_many_hosts_that_come_first_leave_places_for_seeds_and_for_whom_they_speak_of():
    """The crowd is there before the node's own seed and the boxes that this one knows."""
    others = {Address(f"10.1.1.{n}", 7070): links(5000 + n, seeds=[B]) for n in range(4)}
    node, seed = links(1, seeds=[B]), links(2)
    nodes = {A: node, **crowd(5, 20)}
    meet(nodes, 8)
    assert len(node.peers) == PEERS_LIMIT - SEED_PLACES - KNOCKED_PLACES
    meet({**nodes, **others, B: seed}, 100, start=8)
    assert {B, *others} <= {peer.address for peer in node.peers.values()}
    assert len(node.peers) <= PEERS_LIMIT


def test_those_who_are_no_members_take_few_places_unless_they_are_knocked_at():
    """Whoever holds the ward key can make as many keys as it likes."""
    member = links(2, seeds=[A])
    new_box = Address("10.1.1.1", 7070)
    role = roles({public_of(2): Role.MEMBER}, otherwise=Role.GUEST)
    node = links(1, seeds=[new_box], role=role)
    nodes = {A: node, **crowd(5, 20)}
    meet(nodes, 8)
    assert len(node.peers) == GUEST_PLACES
    meet({**nodes, B: member, new_box: links(3)}, 60, start=8)
    assert {B, new_box} <= {peer.address for peer in node.peers.values()}


def test_one_member_has_few_sessions_however_many_nodes_run_with_its_key():
    node, key = links(1), MemberKey(bytes(32))
    clones = {Address(f"10.1.1.{n}", 7070): links(10 + n, seeds=[A], key=key) for n in range(12)}
    meet({A: node, **clones}, 30)
    assert len(node.peers) == MEMBER_SESSIONS


def public_of(seed: int) -> bytes:
    """The key of the member of `links(seed)`."""
    return MemberKey(random.Random(seed).randbytes(32)).public


def roles(known: dict[bytes, Role], otherwise: Role):
    return lambda key: known.get(key, otherwise)


def test_a_member_that_is_revoked_is_let_go_and_not_let_in_again():
    standing = {public_of(2): Role.MEMBER}
    node = links(1, role=roles(standing, otherwise=Role.GUEST))
    other = links(2, seeds=[A])
    meet({A: node, B: other}, 8)
    assert [peer.role for peer in node.peers.values()] == [Role.MEMBER]
    standing[public_of(2)] = Role.REVOKED
    assert [peer.address for peer in node.members_changed()] == [B]
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
    assert node.members_changed() == []
    assert only(node).role is Role.MEMBER


def test_a_member_takes_the_place_of_a_guest():
    """Guests tell addresses of their own, and are knocked at there."""
    role = roles({public_of(2): Role.MEMBER}, otherwise=Role.GUEST)
    node = links(1, role=role)
    guests = crowd(5, 20)
    for address in guests:
        node.book.learn(address, 0)
    meet({A: node, **guests}, 30)
    assert len(node.peers) == PEERS_LIMIT - SEED_PLACES
    meet({A: node, **guests, B: links(2, seeds=[A])}, 30, start=30)
    assert B in {peer.address for peer in node.peers.values()}
    assert len(node.peers) == PEERS_LIMIT - SEED_PLACES


def test_a_guest_that_is_probed_still_came_unasked():
    node = links(1, role=roles({}, otherwise=Role.GUEST))
    first, second = (
        crowd(1, 8),
        {Address("10.7.7.7", 1 + n): links(2000 + n, seeds=[A]) for n in range(8)},
    )
    meet({A: node, **first}, 8)
    assert len(node.peers) == GUEST_PLACES
    for guest in first.values():
        guest._send_status = lambda *_: None
    meet({A: node, **first}, 20, start=8)
    meet({A: node, **first, **second}, 12, start=28)
    assert len(node.peers) == GUEST_PLACES


def test_addresses_of_one_ipv6_network_are_those_of_one_host():
    node = links(1)
    crowd_there = {
        Address(f"2001:db8::{n + 1:x}", 7070): links(3000 + n, seeds=[A]) for n in range(60)
    }
    meet({A: node, **crowd_there}, 20)
    assert len(node.peers) == HOST_LIMIT


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


def test_a_channel_that_is_confirmed_late_is_as_good_as_any():
    a, b = connected()
    a._handshakes.knock(B, 10)
    a._post_handshakes()
    for source, sender, receiver in ((A, a, b), (B, b, a), (A, a, b), (B, b, a)):
        outbox, sender.outbox = sender.outbox, []
        for datagram in outbox:
            receiver.receive(datagram.socket, source, datagram.data, at(10))
    status = a.outbox.pop().data
    late = at(10 + UNCONFIRMED_TIME + 1)
    assert b.receive(Socket.SYNC, A, status, late) is not None
    assert only(b).sending in only(b).channels
    b.tick(at(10 + UNCONFIRMED_TIME + 20))
    assert len(b.peers) == 1


# Keys change


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


@pytest.mark.parametrize("loss", [None, random.Random(4)])
def test_keys_are_changed_while_the_session_goes_on(loss):
    a, b = connected()
    sessions = only(a), only(b)
    used = set()
    for minute in range(120):
        aged(a, b, 60, start=1 + 60 * minute, loss=loss)
        assert (only(a), only(b)) == sessions
        for peer in sessions:
            used.add(peer.sending.local)
            assert 60 * minute - peer.sending.made < REKEY_AFTER * 2
            assert len(peer.channels) <= CHANNELS_LIMIT
    assert len(used) >= 2 * (7200 / (REKEY_AFTER * 1.5) - 1)
    for node in (a, b):
        assert len(node._channels) == len(only(node).channels) <= 2
        assert len(node._handshakes._indices) <= 3
        # An offer that is said twice is answered twice.
        expected = {"unasked"} if loss is None else {"unasked", "no_session"}
        assert set(node.traffic[Socket.SYNC].dropped) <= expected


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


def test_a_channel_that_the_other_side_never_confirmed_is_not_sent_through():
    """The first datagrams of a new channel are lost, the old one goes on."""
    a, b = connected()
    old = only(a).sending
    a._handshakes.knock(B, 10)
    a._post_handshakes()
    for source, sender, receiver in ((A, a, b), (B, b, a), (A, a, b), (B, b, a)):
        outbox, sender.outbox = sender.outbox, []
        for datagram in outbox:
            receiver.receive(datagram.socket, source, datagram.data, at(10))
    assert len(only(a).channels) == 2
    a.outbox.clear()  # its status through the new channel
    assert only(a).sending is old
    a.send(only(a), NewTransaction(b"x"))
    assert b.receive(Socket.SYNC, A, a.outbox.pop().data, at(11)) is not None
    aged(a, b, round(UNCONFIRMED_TIME) + 12, start=12)
    assert only(a).channels == [old]


def test_keys_that_cannot_be_changed_are_not_used_for_ever():
    a, b = connected()
    dropping = a._handshakes.knock, b._handshakes.knock
    for node in (a, b):
        node._handshakes.knock = lambda address, now: None
    aged(a, b, round(KEY_LIFETIME) + 20)
    assert a.peers == b.peers == {}
    a._handshakes.knock, b._handshakes.knock = dropping
    aged(a, b, 70, start=round(KEY_LIFETIME) + 21)
    assert len(a.peers) == len(b.peers) == 1


def test_cookies_change_under_a_node_that_is_knocked_at():
    a = links(1, seeds=[B])
    b = links(2)
    for second in range(0, round(4 * COOKIE_TIME), 7):
        a.tick(at(second))
        exchange(a, b, at(second + 3))
    assert len(b.peers) == 1


def test_what_the_name_of_a_seed_stood_for_is_forgotten_a_day_after_it_stood_for_it_last():
    given, lasting, former = B, Address("10.0.0.3", 7070), Address("10.0.0.4", 7070)
    book = AddressBook([given], 0)
    for hour in range(40):
        now = 3600.0 * hour
        book.add_seed(lasting, now)
        if hour < 10:
            book.add_seed(former, now)
        for second in range(0, 3600, 60):
            book.due(set(), now + second)
        expected = {given, lasting, former} if hour < 33 else {given, lasting}
        assert {a for a in (given, lasting, former) if book.is_seed(a, now)} == expected
    assert book.due(set(), 1e9) == [given, lasting], "the other one is knocked at no more"
