import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.protocol.channel import CHANNEL_BYTES, Channel, index_of
from edgenode.protocol.drops import Drop, Dropped

KEYS = bytes([1]) * 32, bytes([2]) * 32


def ends() -> tuple[Channel, Channel]:
    there, back = KEYS
    a = Channel(local=7, remote=9, sending=there, receiving=back, made=0.0, asked=True)
    b = Channel(local=9, remote=7, sending=back, receiving=there, made=0.0, asked=False)
    return a, b


def reason(channel: Channel, datagram: bytes) -> Drop:
    with pytest.raises(Dropped) as dropped:
        channel.open(datagram, 0.0)
    return dropped.value.reason


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=1171)), max_size=20))
def test_what_one_end_seals_the_other_opens_once_and_nobody_else(said):
    a, b = ends()
    for from_a, plaintext in said:
        sender, receiver = (a, b) if from_a else (b, a)
        datagram = sender.seal(plaintext)
        assert len(datagram) == CHANNEL_BYTES + len(plaintext)
        assert index_of(datagram) == receiver.local
        assert reason(sender, datagram) is Drop.UNSEALED, "reflected"
        assert receiver.open(datagram, 0.0) == plaintext
        assert reason(receiver, datagram) is Drop.REPLAYED


@given(st.permutations(range(12)))
def test_datagrams_may_overtake_each_other(order):
    a, b = ends()
    datagrams = [a.seal(bytes([n])) for n in range(12)]
    assert [b.open(datagrams[n], 0.0) for n in order] == [bytes([n]) for n in order]


@given(st.binary(max_size=40), st.data())
def test_with_any_bit_flipped_it_does_not_open_and_uses_nothing_up(plaintext, data):
    a, b = ends()
    datagram = a.seal(plaintext)
    flipped = bytearray(datagram)
    bit = data.draw(st.integers(0, 8 * len(datagram) - 1))
    flipped[bit // 8] ^= 1 << bit % 8
    assert reason(b, bytes(flipped)) is Drop.UNSEALED
    assert b.open(datagram, 0.0) == plaintext


@given(st.binary(max_size=1300))
def test_what_names_no_channel_has_no_index(garbage):
    if len(garbage) >= CHANNEL_BYTES:
        garbage = b"\0" + garbage
    with pytest.raises(Dropped):
        index_of(garbage)


def test_the_same_words_never_look_the_same():
    a, _ = ends()
    assert len({a.seal(b"x")[13:] for _ in range(100)}) == 100
