import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.protocol.drops import Drop, Dropped
from edgenode.protocol.gate import GATE_BYTES, Gate

plaintexts = st.binary(max_size=300)


def gate(key: int = 1, genesis: int = 2) -> Gate:
    return Gate(bytes([key]) * 32, bytes([genesis]) * 32, random.Random(0).randbytes)


@given(plaintexts)
def test_what_was_sealed_opens_for_the_same_ward_only(plaintext):
    datagram = gate().seal(plaintext)
    assert len(datagram) == GATE_BYTES + len(plaintext)
    assert gate().open(datagram) == plaintext
    for other in (gate(key=9), gate(genesis=9)):
        with pytest.raises(Dropped) as dropped:
            other.open(datagram)
        assert dropped.value.reason is Drop.UNSEALED


@given(plaintexts, st.data())
def test_with_any_bit_flipped_it_does_not_open(plaintext, data):
    datagram = bytearray(gate().seal(plaintext))
    bit = data.draw(st.integers(0, 8 * len(datagram) - 1))
    datagram[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Dropped):
        gate().open(bytes(datagram))


@given(st.binary(max_size=1400))
def test_garbage_does_not_open(garbage):
    with pytest.raises(Dropped):
        gate().open(garbage)


def test_the_secret_of_sessions_is_no_key_of_the_gate_and_another_one_in_each_ward():
    secrets = {gate().secret, gate(key=9).secret, gate(genesis=9).secret, bytes([1]) * 32}
    assert len(secrets) == 4


def test_a_ward_key_of_another_length_is_an_error():
    with pytest.raises(ValueError, match="31"):
        Gate(bytes(31), bytes(32), random.Random(0).randbytes)
