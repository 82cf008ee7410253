import random

import pytest

from edgenode.protocol.book import AddressBook
from edgenode.protocol.instant import Instant
from edgenode.protocol.links import (
    HOST_LIMIT,
    KNOCKED_PLACES,
    PEERS_LIMIT,
    SEED_PLACES,
    SILENCE_LIMIT,
    Links,
    Local,
)
from edgenode.protocol.sealing import Sealer
from edgenode.protocol.wire import Address, Envelope, Hello, NewTransaction, Socket, Status, Tip

GENESIS = bytes(32)
A, B = Address("10.0.0.1", 7070), Address("10.0.0.2", 7070)
STRANGER = Address("10.6.6.6", 666)


def at(seconds: float) -> Instant:
    return Instant(seconds, 1_700_000_000 + seconds)


def links(seed: int, *, key: int = 1, genesis: bytes = GENESIS, seeds=(), broadcast=7071) -> Links:
    rng = random.Random(seed)
    return Links(
        genesis_id=genesis,
        sealer=Sealer(bytes([key]) * 32, genesis, rng.randbytes),
        seeds=seeds,
        broadcast_port=broadcast,
        local=Local(lambda: Tip(bytes(32), 0, 1, 0), list),
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


def test_a_hello_and_a_welcome_make_a_session_on_both_sides():
    a, b = connected()
    assert only(a).address == B
    assert only(b).address == A
    assert only(a).broadcast == Address("10.0.0.2", 7071)


@pytest.mark.parametrize("garbage", [b"", b"\x01" * 65, b"\x01" * 1200, b"\x00" * 9000])
def test_strangers_get_no_reply_to_garbage(garbage):
    node = links(1)
    assert node.receive(Socket.SYNC, STRANGER, garbage, at(0)) is None
    assert node.outbox == []


@pytest.mark.parametrize("stranger", [{"key": 2}, {"genesis": b"\1" * 32}])
def test_a_node_with_another_key_or_genesis_gets_no_reply(stranger):
    node, other = links(1), links(2, seeds=[A], **stranger)
    other.tick(at(0))
    node.receive(Socket.SYNC, B, other.outbox[0].data, at(0))
    assert node.outbox == []
    assert node.peers == {}


def test_a_welcome_is_no_larger_than_its_hello_and_leaves_no_session():
    node, other = links(1), links(2, seeds=[A])
    other.tick(at(0))
    for n in range(1000):
        node.receive(Socket.SYNC, Address("10.9.9.9", n + 1), other.outbox[0].data, at(0))
    assert {len(d.data) for d in node.outbox} == {len(other.outbox[0].data)}
    assert node.peers == {}


def test_a_confirmation_from_another_address_than_the_welcome_went_to_makes_no_session():
    a, b = links(1, seeds=[B]), links(2)
    a.tick(at(0))
    b.receive(Socket.SYNC, A, a.outbox.pop().data, at(0))
    a.receive(Socket.SYNC, B, b.outbox.pop().data, at(0))
    confirmation = a.outbox[0]
    assert b.receive(Socket.SYNC, STRANGER, confirmation.data, at(0)) is None
    assert b.peers == {}
    assert b.outbox == []
    b.receive(Socket.SYNC, A, confirmation.data, at(0))
    assert b.peers == {}, "the same datagram counts once, wherever it comes from"


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
            if a.peers and b.peers and only(a).cookie is None:
                break
        assert a.peers
        assert b.peers
        assert only(a).cookie is None


def test_a_recorded_welcome_neither_makes_nor_ends_a_session():
    a, b = links(1, seeds=[B]), links(2)
    a.tick(at(0))
    b.receive(Socket.SYNC, A, a.outbox.pop().data, at(0))
    recorded = b.outbox.pop().data
    a.receive(Socket.SYNC, B, recorded, at(0))
    exchange(a, b, at(0.1))
    session = only(a)
    a.receive(Socket.SYNC, B, recorded, at(1))
    a.receive(Socket.SYNC, STRANGER, recorded, at(1))
    assert list(a.peers.values()) == [session]
    assert session.address == B
    a.tick(at(SILENCE_LIMIT + 2))
    a.receive(Socket.SYNC, STRANGER, recorded, at(SILENCE_LIMIT + 3))
    assert a.peers == {}


def test_a_session_that_ended_cannot_be_replayed():
    a, b = connected()
    a.send(only(a), NewTransaction(b"x"))
    recorded = a.outbox.pop().data
    b.receive(Socket.SYNC, A, recorded, at(1))
    b.tick(at(SILENCE_LIMIT + 2))
    assert b.peers == {}
    assert b.receive(Socket.SYNC, STRANGER, recorded, at(SILENCE_LIMIT + 3)) is None
    assert b.peers == {}


def test_a_peer_that_moves_is_followed_once_it_has_proven_its_new_address():
    a, b = connected()
    moved = Address("10.0.0.9", 7070)
    b.outbox.clear()
    a.tick(at(SILENCE_LIMIT + 1))
    a.outbox.clear()
    a.tick(at(SILENCE_LIMIT + 2))
    b_peer = only(b)
    b_peer.heard = SILENCE_LIMIT + 2
    hello = a.outbox.pop().data
    b.receive(Socket.SYNC, moved, hello, at(SILENCE_LIMIT + 2))
    (welcome,) = [d for d in b.outbox if d.address == moved]
    a.receive(Socket.SYNC, B, welcome.data, at(SILENCE_LIMIT + 2))
    assert only(b).address == A
    b.receive(Socket.SYNC, moved, a.outbox[0].data, at(SILENCE_LIMIT + 2))
    assert only(b).address == moved


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
    assert restarted.traffic[Socket.SYNC].dropped["other_session"] == 1


def test_the_broadcast_socket_takes_announcements_only():
    a, b = connected()
    a.send(only(a), NewTransaction(b"x"), Socket.BROADCAST)
    datagram = a.outbox.pop()
    assert datagram.address == Address("10.0.0.2", 7071)
    assert b.receive(Socket.BROADCAST, Address("10.0.0.1", 7071), datagram.data, at(1)) is not None
    sealed = a._sealer.seal(
        Socket.BROADCAST,
        Envelope(a.session, b.session, 99, Status(Tip(bytes(32), 0, 0, 0), 1, 0, 0, ())).encode(),
    )
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
    assert list(a.peers) == [anew.session]


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
    node.tick(at(0))
    node.receive(Socket.SYNC, A, node.outbox.pop().data, at(0))
    knocks = 0
    for second in range(1, 600):
        node.tick(at(second))
        knocks += len(node.outbox)
        node.outbox.clear()
    assert 5 <= knocks <= 12


def test_a_blamed_peer_is_shunned():
    a, b = connected()
    a.blame(only(a), at(1))
    b.send(only(b), NewTransaction(b"x"))
    assert a.receive(Socket.SYNC, B, b.outbox.pop().data, at(2)) is None
    a.outbox.clear()
    a.tick(at(500))
    assert a.outbox == []
    a.tick(at(700))
    assert any(isinstance(hello_of(a, d), Hello) for d in a.outbox)


def hello_of(links: Links, datagram):
    return Envelope.decode(links._sealer.open(datagram.socket, datagram.data)).message


def test_only_its_own_address_speaks_for_a_peer():
    """A holder of the ward key who knows a session's number cannot use up its counters."""
    a, b = connected()
    session, counter = a.session, 2**64 - 1
    forged = Envelope(session, b.session, counter, Status(Tip(bytes(32), 9, 9, 0), 1, 0, 0, ()))
    datagram = b._sealer.seal(Socket.SYNC, forged.encode())
    assert b.receive(Socket.SYNC, STRANGER, datagram, at(1)) is None
    assert b.traffic[Socket.SYNC].dropped == {"moved": 1}
    a._send_status(only(a), at(2))
    exchange(a, b, at(2))
    assert only(b).heard == 2


def test_a_welcome_from_another_address_than_was_knocked_at_opens_no_session():
    a, b = links(1, seeds=[B]), links(2)
    a.tick(at(0))
    b.receive(Socket.SYNC, A, a.outbox.pop().data, at(0))
    welcome = b.outbox.pop().data
    a.receive(Socket.SYNC, STRANGER, welcome, at(0))
    assert a.peers == {}
    assert [len(d.data) for d in a.outbox] == [len(welcome)], "one knock, and no more than came"
    a.receive(Socket.SYNC, B, welcome, at(0))
    assert only(a).address == B


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
