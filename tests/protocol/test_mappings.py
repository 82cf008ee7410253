"""Ports that stand for boxes: who keeps which, and what is carried."""

import random

import pytest

from edgenode.protocol.drops import Drop, Dropped
from edgenode.protocol.gate import Gate
from edgenode.protocol.mappings import (
    CONTACT_TIME,
    CONTACTS_LIMIT,
    KEPT,
    UNASKED_AT_ONCE,
    Mappings,
    NotCarried,
)
from edgenode.protocol.wire import DATAGRAM_LIMIT, Address, NewTransaction, Socket
from tests.protocol.meeting import GENESIS, at, connected, only
from tests.protocol.meeting import A as A_ADDRESS

A, B, C = (bytes([n]) * 32 for n in (1, 2, 3))
PEER = Address("10.0.0.9", 7070)
GOSSIP = b"\3" + bytes(99)


def test_a_box_that_comes_back_has_its_place_again_and_another_one_a_place_of_its_own():
    mappings = Mappings(2)
    one, two = mappings.come(A, 0.0), mappings.come(B, 0.0)
    assert {one, two} == {0, 1}
    assert mappings.come(C, 0.0) is None
    mappings.leave(one, 10.0)
    assert mappings.linked == 1
    assert mappings.come(A, 10.0 + KEPT) == one
    assert mappings.come(A, 11.0 + KEPT) == one, "a link that was lost unnoticed"
    assert mappings.linked == 2


def test_a_box_gets_the_same_place_each_time_if_it_is_free():
    for member in (A, B, C):
        (place,) = {Mappings(7).come(member, 0.0) for _ in range(3)}
        busy = Mappings(7)
        other = member[:8] + bytes(24)  # of the same place
        assert busy.come(other, 0.0) == place
        assert busy.come(member, 0.0) == (place + 1) % 7


def test_who_was_away_longest_gives_way_to_a_new_box():
    mappings = Mappings(2)
    one, two = mappings.come(A, 0.0), mappings.come(B, 0.0)
    mappings.leave(two, 5.0)
    mappings.leave(one, 9.0)
    assert mappings.come(C, 10.0) == two
    assert not mappings.receive(one, PEER, GOSSIP, 10.0)
    assert mappings.dropped[NotCarried.NO_LINK] == 1
    assert mappings.come(A, 11.0) == one
    assert mappings.come(B, 11.0) is None


def test_what_is_said_of_a_place_does_not_outlive_its_box():
    mappings = Mappings(1)
    assert mappings.come(A, 0.0) == 0
    assert mappings.send(0, PEER, GOSSIP, 0.0)
    mappings.leave(0, 1.0)
    assert mappings.come(B, 2.0) == 0
    passed = sum(mappings.receive(0, PEER, GOSSIP, 2.0) for _ in range(3 * UNASKED_AT_ONCE))
    assert passed == UNASKED_AT_ONCE, "B has not spoken to it"


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "::1", "224.0.0.1", "ff12::7072", "0.0.0.0", "::", "255.255.255.255", "fe80::1",
     "169.254.1.1", "240.0.0.1", "nobody"],
)  # fmt: skip
def test_a_gateway_sends_to_no_address_that_is_not_of_one_box_on_its_networks(host):
    mappings = Mappings(1)
    mappings.come(A, 0.0)
    assert not mappings.send(0, Address(host, 7070), GOSSIP, 0.0)
    assert mappings.dropped[NotCarried.NO_UNICAST] == 1
    assert mappings.from_boxes == 0


def test_where_the_gateways_own_node_is_on_loopback_so_may_others_be():
    mappings = Mappings(1, loopback=True)
    mappings.come(A, 0.0)
    assert mappings.send(0, Address("127.0.0.1", 7070), GOSSIP, 0.0)
    assert not mappings.send(0, Address("224.0.0.1", 7070), GOSSIP, 0.0)


@pytest.mark.parametrize("data", [b"", b"\0\1", b"GET / HTTP/1.1", b"\3" * (DATAGRAM_LIMIT + 1)])
def test_what_is_no_gossip_is_carried_in_neither_direction(data):
    mappings = Mappings(1)
    mappings.come(A, 0.0)
    assert not mappings.send(0, PEER, data, 0.0)
    assert not mappings.receive(0, PEER, data, 0.0)
    assert mappings.dropped[NotCarried.NO_GOSSIP] == 2


def test_a_flood_of_strangers_takes_nothing_from_those_that_the_box_has_spoken_to():
    mappings = Mappings(1)
    mappings.come(A, 0.0)
    assert mappings.send(0, PEER, GOSSIP, 0.0)
    strangers = [Address(f"10.1.{n // 250}.{n % 250}", 7070) for n in range(1000)]
    passed = sum(mappings.receive(0, stranger, GOSSIP, 1.0) for stranger in strangers)
    assert passed == UNASKED_AT_ONCE
    assert mappings.dropped[NotCarried.UNASKED] == 1000 - UNASKED_AT_ONCE
    assert all(mappings.receive(0, PEER, GOSSIP, 1.0) for _ in range(1000))
    assert mappings.to_boxes == 1000 + UNASKED_AT_ONCE


def test_who_may_answer_is_remembered_for_a_time_and_for_so_many():
    mappings = Mappings(1)
    mappings.come(A, 0.0)
    spoken = [Address(f"10.1.{n // 250}.{n % 250}", 7070) for n in range(CONTACTS_LIMIT + 1)]
    for address in spoken:
        assert mappings.send(0, address, GOSSIP, 0.0)
    while mappings.receive(0, PEER, GOSSIP, 0.0):
        pass
    assert not mappings.receive(0, spoken[0], GOSSIP, 0.0)
    assert mappings.receive(0, spoken[1], GOSSIP, CONTACT_TIME)
    while mappings.receive(0, PEER, GOSSIP, CONTACT_TIME + 1):
        pass
    assert not mappings.receive(0, spoken[1], GOSSIP, CONTACT_TIME + 1)


def test_what_finds_no_room_on_the_link_is_counted_once():
    mappings = Mappings(1)
    mappings.come(A, 0.0)
    assert mappings.receive(0, PEER, GOSSIP, 0.0)
    mappings.overflowed()
    assert (mappings.to_boxes, mappings.dropped[NotCarried.FULL_LINK]) == (0, 1)


def test_a_gateway_that_holds_the_ward_key_can_neither_read_nor_forge_what_it_carries():
    """A and B meet through one who sees all, and changes, repeats and makes datagrams up."""
    secret = b"what A has to say to B, and to nobody else"
    a, b = connected()
    a.send(only(a), NewTransaction(secret))
    (sealed,) = a.outbox
    gate = Gate(bytes([1]) * 32, GENESIS, random.Random(5).randbytes)
    assert secret not in sealed.data
    with pytest.raises(Dropped):
        gate.open(sealed.data)
    for place in range(len(sealed.data)):
        changed = bytearray(sealed.data)
        changed[place] ^= 1
        assert b.receive(Socket.BROADCAST, A_ADDRESS, bytes(changed), at(1)) is None
    assert sum(b.traffic[Socket.BROADCAST].dropped.values()) == len(sealed.data)
    received = b.receive(Socket.BROADCAST, A_ADDRESS, sealed.data, at(1))
    assert received is not None
    assert received[1] == NewTransaction(secret)
    assert b.receive(Socket.BROADCAST, A_ADDRESS, sealed.data, at(1)) is None, "once more"
    assert b.traffic[Socket.BROADCAST].dropped[Drop.REPLAYED] == 1
    made_up = gate.seal(b"\7" + secret)
    assert b.receive(Socket.BROADCAST, A_ADDRESS, made_up, at(1)) is None
    assert b.receive(Socket.SYNC, A_ADDRESS, made_up, at(1)) is None
