import random

from edgenode.ledger.keys import MemberKey
from edgenode.protocol.beacon import BEACONS_AT_ONCE, MEMBERS_BEACONS_AT_ONCE, Beacon
from edgenode.protocol.book import BOOK_LIMIT, TOLD_LIMIT
from edgenode.protocol.layout import Layout
from edgenode.protocol.places import (
    CROWD,
    GUEST_PLACES,
    HOST_LIMIT,
    KNOCKED_PLACES,
    MEMBER_SESSIONS,
    PEERS_LIMIT,
    SEED_PLACES,
    SOUGHT_PEERS,
)
from edgenode.protocol.roles import Role
from edgenode.protocol.wire import Address, Reason, Socket
from tests.protocol.meeting import BOTH, GENESIS, A, B, at, crowd, links, meet, public_of, roles


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


def test_a_member_takes_the_place_of_a_guest(monkeypatch):
    """Guests have told addresses of their own, and were knocked at there over time."""
    monkeypatch.setattr("edgenode.protocol.seeking.SOUGHT_PEERS", PEERS_LIMIT)
    monkeypatch.setattr("edgenode.protocol.places.CROWD", PEERS_LIMIT)
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


def test_a_member_has_the_place_of_one_that_came_unasked_and_has_had_its_time():
    """A seed of a large ward is everybody's first door."""
    node = links(1)
    nodes = {A: node, **crowd(5, 20)}
    meet(nodes, 20)
    full = len(node.peers)
    meet({**nodes, B: links(2, seeds=[A])}, 24, start=20)
    assert B not in {peer.address for peer in node.peers.values()}
    newcomer = links(2, seeds=[A])
    now = 20
    for _ in range(10):
        meet({**nodes, B: newcomer}, 24, start=now)
        now += 24
        if newcomer.peers:
            break
    assert newcomer.peers
    assert len(node.peers) <= full + SOUGHT_PEERS


def test_a_node_seeks_a_few_peers_and_lets_go_of_a_crowd():
    others = {Address(f"10.1.{n // 200}.{n % 200 + 1}", 7070): links(100 + n) for n in range(60)}
    node = links(1)
    for address in others:
        node.book.learn(address, 0)
    meet({A: node, **others}, 40)
    assert SOUGHT_PEERS <= len(node.peers) < 3 * SOUGHT_PEERS
    comers = {Address(f"10.2.0.{n + 1}", 7070): links(500 + n, seeds=[A]) for n in range(30)}
    meet({A: node, **others, **comers}, 30, start=40)
    assert len(node.peers) > CROWD, "who comes is let in"
    meet({A: node, **others, **comers}, 300, start=70)
    assert len(node.peers) <= CROWD + 2, "but for who has just come"
    assert sum(peer.knocked for peer in node.peers.values()) >= SOUGHT_PEERS, "its own choice stays"


def test_two_wards_that_were_started_apart_grow_together_from_one_address():
    """Nobody but one node of the first is told an address of the second."""
    first = {Address(f"10.1.0.{n + 1}", 7070): links(n, seeds=[]) for n in range(20)}
    second = {Address(f"10.2.0.{n + 1}", 7070): links(100 + n, seeds=[]) for n in range(20)}
    for ward in (first, second):
        addresses = list(ward)
        for address, node in ward.items():
            if address != addresses[0]:
                node.book.add_seed(addresses[0], 0)
        meet(ward, 200)
        assert all(len(node.peers) >= SOUGHT_PEERS for node in ward.values())
    teller, told = list(first)[7], list(second)[11]
    first[teller].book.add_seed(told, 200)
    meet({**first, **second}, 800, start=200)
    across = sum(peer.address in second for node in first.values() for peer in node.peers.values())
    assert across > 10


def test_a_link_local_address_is_told_to_nobody():
    here = Address("fe80::2%eth0", 7070)
    node, far = links(1), links(3, seeds=[A])
    near = links(2, seeds=[A])
    near.book.learn = lambda *_: None  # it does not knock at the other one itself
    meet({A: node, here: near, B: far}, 120)
    assert len(node.peers) == 2
    assert far.book.due(set(), 1000, random.Random(1)) == [A]


def test_a_goodbye_ends_the_session_at_once():
    node, other = links(1), links(2, seeds=[A])
    meet({A: node, B: other}, 20)
    node.say_goodbye()
    (goodbye,) = node.outbox
    other.receive(Socket.SYNC, A, goodbye.data, at(20))
    assert node.peers == other.peers == {}
    other.tick(at(20))
    assert other.outbox == []
    meet({A: links(3), B: other}, 4, start=24)
    assert len(other.peers) == 1, "who stops may have started again"


def test_who_is_sent_away_does_not_come_back_soon():
    node, other = links(1, layout=BOTH), links(2, seeds=[A])
    meet({A: node, B: other}, 20)
    node._part(next(iter(node.peers.values())), Reason.CROWDED)
    node.book.forget_member(public_of(2))
    node.book.postpone(B, 20, 1000)
    meet({A: node, B: other}, 56, start=20)
    assert node.peers == {}
    meet({A: node, B: other}, 20, start=80)
    assert len(node.peers) == 1


def test_guests_that_tell_of_each_other_do_not_keep_a_node_from_its_members():
    """Whoever holds the ward key fills the book, and is knocked at; members are sought as well."""
    members = {Address(f"10.1.1.{n + 1}", 7070): links(2 + n, seeds=[]) for n in range(12)}
    role = roles({public_of(2 + n): Role.MEMBER for n in range(12)}, otherwise=Role.GUEST)
    node = links(1, role=role)
    crowds = crowd(3, 20)
    for address in crowds:
        node.book.learn(address, 0, address.site)
    meet({A: node, **crowds, **members}, 60)
    for address in members:
        node.book.learn(address, 60, "10.1.1.1")
    meet({A: node, **crowds, **members}, 200, start=60)
    found = [peer for peer in node.peers.values() if peer.role is Role.MEMBER]
    assert len(found) > SOUGHT_PEERS // 2


def heard(node, other, count):
    """The node hears so many beacons of the other one, each from an address of its own."""
    for n in range(count):
        here = Address(f"10.6.{n // 250}.{n % 250}", 7070)
        node.receive(Socket.DISCOVERY, Address(here.host, 9), other.beacons.seal(here), at(n))
    return list(node.book._doors)


def test_beacons_of_guests_have_few_places_together():
    node, other = links(1, role=roles({}, otherwise=Role.GUEST)), links(2)
    assert len(heard(node, other, 1000)) == TOLD_LIMIT
    assert node.traffic[Socket.DISCOVERY].dropped["too_many_beacons"] == 1000 - TOLD_LIMIT


def test_beacons_of_one_member_have_two_places_its_newest_ones():
    places = heard(links(1), links(2), 30)
    assert places == [Address("10.6.0.28", 7070), Address("10.6.0.29", 7070)]


def test_a_members_beacon_makes_room_for_itself():
    node = links(1)
    for n in range(BOOK_LIMIT):
        node.book.learn(Address(f"10.7.0.{n}", 7070), n, f"10.8.0.{n}")
    assert heard(node, links(2), 1)[-1] == Address("10.6.0.0", 7070)
    assert len(node.book._doors) == BOOK_LIMIT
    assert Address("10.7.0.0", 7070) not in node.book._doors, "what was told longest ago"


def test_a_beacon_in_a_members_name_needs_its_signature():
    node, member = links(1), MemberKey(random.Random(2).randbytes(32))
    forged = Beacon(member.public, 7, A).signed(MemberKey(bytes(32)), GENESIS)
    sealed = node._gate.seal(forged.encode())
    assert node.receive(Socket.DISCOVERY, Address(A.host, 9), sealed, at(0)) is None
    assert node.traffic[Socket.DISCOVERY].dropped["forged"] == 1
    assert not node.book._doors


def test_a_flood_of_beacons_costs_so_many_signatures_a_second():
    node = links(1)
    for seed in range(50):
        other = links(10 + seed)
        for _ in range(20):
            node.receive(Socket.DISCOVERY, Address(A.host, 9), other.beacons.seal(A), at(0))
    assert node.traffic[Socket.DISCOVERY].dropped["too_many_beacons"] == 1000 - BEACONS_AT_ONCE


def test_one_members_flood_of_beacons_uses_up_its_own_budget():
    node, other = links(1), links(2)
    sealed = other.beacons.seal(A)
    for _ in range(1000):
        node.receive(Socket.DISCOVERY, Address(A.host, 9), sealed, at(0))
    dropped = node.traffic[Socket.DISCOVERY].dropped["too_many_beacons"]
    assert dropped == 1000 - MEMBERS_BEACONS_AT_ONCE
    node.receive(Socket.DISCOVERY, Address(B.host, 9), links(3).beacons.seal(B), at(0))
    assert B in node.book._doors
    dropped = node.traffic[Socket.DISCOVERY].dropped["too_many_beacons"]
    assert dropped == 1000 - MEMBERS_BEACONS_AT_ONCE


def test_a_guest_that_comes_from_one_port_after_the_other_does_not_fill_the_book():
    node = links(1, role=roles({}, otherwise=Role.GUEST))
    for port in range(300):
        guest, address = links(1000 + port, seeds=[A]), Address("10.6.6.6", 20_000 + port)
        meet({A: node, address: guest}, 4, start=8 * port)
        guest.say_goodbye()
        meet({A: node, address: guest}, 4, start=8 * port + 4)
    assert len(node.book._doors) <= TOLD_LIMIT
    assert node.book.learn(B, 2400, "10.1.1.1")


def test_a_box_that_has_its_seeds_alone_is_not_let_go_of_in_a_crowd():
    closed = Layout(broadcast=BOTH.broadcast, is_open=False)
    hub, lone = links(1), links(2, seeds=[A], layout=closed)
    crowd_of = {Address(f"10.7.7.{n}", 7070): links(3000 + n, seeds=[A]) for n in range(CROWD + 6)}
    nodes = {A: hub, B: lone, **crowd_of}
    meet(nodes, 40)
    for second in range(40, 240, 8):
        meet(nodes, 8, start=second)
        assert B in {peer.address for peer in hub.peers.values()}
