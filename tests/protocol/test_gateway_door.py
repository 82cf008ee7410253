"""Who is let in: those who hold the ward key and the member's key that they name, and no echo."""

from dataclasses import replace

import pytest

from edgenode.ledger.keys import MemberKey
from edgenode.protocol.gateway_door import Door
from edgenode.protocol.gateway_wire import Hello
from edgenode.protocol.wire import Address

WARD_KEY, GENESIS = b"w" * 32, b"g" * 32
KEY = MemberKey(b"k" * 32)
HELLO = Hello(1, b"n" * 32)
NONCE = b"m" * 32
NODES = (Address("10.0.0.1", 7070),)
DOOR = Door(WARD_KEY, GENESIS)


def test_both_prove_that_they_hold_the_ward_key():
    entry = DOOR.enter(HELLO, KEY, NONCE)
    assert DOOR.lets_in(HELLO, entry)
    welcome = DOOR.welcome(HELLO, entry, (7080, 7081), NODES)
    assert DOOR.believes(HELLO, entry, welcome)
    assert (welcome.sync, welcome.broadcast, welcome.nodes) == (7080, 7081, NODES)


@pytest.mark.parametrize("other", [Door(b"x" * 32, GENESIS), Door(WARD_KEY, b"x" * 32)])
def test_of_another_ward_neither_is_believed(other):
    entry = other.enter(HELLO, KEY, NONCE)
    assert not DOOR.lets_in(HELLO, entry)
    entry = DOOR.enter(HELLO, KEY, NONCE)
    assert not DOOR.believes(HELLO, entry, other.welcome(HELLO, entry, (1, 2), ()))


@pytest.mark.parametrize("field", ["member", "nonce", "signature", "proof"])
def test_an_entry_is_one_piece(field):
    entry = DOOR.enter(HELLO, KEY, NONCE)
    other = DOOR.enter(HELLO, MemberKey(b"o" * 32), b"o" * 32)
    assert not DOOR.lets_in(HELLO, replace(entry, **{field: getattr(other, field)}))


def test_who_holds_the_ward_key_enters_in_nobody_elses_name():
    stolen = replace(DOOR.enter(HELLO, MemberKey(b"o" * 32), NONCE), member=KEY.public)
    proof = DOOR._proof(b"box", HELLO, NONCE, KEY.public)
    assert not DOOR.lets_in(HELLO, replace(stolen, proof=proof))


def test_an_entry_that_was_heard_opens_no_other_link():
    assert not DOOR.lets_in(Hello(1, b"o" * 32), DOOR.enter(HELLO, KEY, NONCE))


@pytest.mark.parametrize(
    "changed", [{"sync": 9}, {"broadcast": 9}, {"nodes": ()}, {"proof": bytes(32)}]
)
def test_a_welcome_is_the_gateways_own_and_of_this_link(changed):
    entry = DOOR.enter(HELLO, KEY, NONCE)
    welcome = DOOR.welcome(HELLO, entry, (7080, 7081), NODES)
    assert not DOOR.believes(HELLO, entry, replace(welcome, **changed))
    later = DOOR.enter(HELLO, KEY, b"o" * 32)
    assert not DOOR.believes(HELLO, later, welcome)


def test_a_proof_of_one_side_is_none_of_the_other():
    entry = DOOR.enter(HELLO, KEY, NONCE)
    welcome = DOOR.welcome(HELLO, entry, (7080, 7081), ())
    assert not DOOR.believes(HELLO, entry, replace(welcome, proof=entry.proof))
