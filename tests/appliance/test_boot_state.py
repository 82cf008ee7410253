"""Which slot is started: the state of two files, and every way that a write can be cut off."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.appliance.boot_state import (
    FACTORY,
    FILE_BYTES,
    STARTS_ON_TRIAL,
    BootState,
    BootStateError,
    Slot,
    SlotRecord,
    SlotState,
    confirmed,
    decode,
    encode,
    given_up,
    newest,
    on_trial,
)

records = st.builds(SlotRecord, st.sampled_from(SlotState), st.integers(0, 15))
states = st.builds(
    BootState,
    generation=st.integers(1, 0xFFFFFFFE),
    order=st.permutations(list(Slot)).map(tuple),
    a=records,
    b=records,
)
slots = st.sampled_from(Slot)
changes = st.sampled_from([confirmed, on_trial, given_up])


def _with_checksum(text: bytes) -> bytes:
    data = text.ljust(FILE_BYTES - 4, b"\0")
    return zlib.crc32(data).to_bytes(4, "little") + data


@given(states)
def test_a_state_is_a_sector_that_reads_back(state):
    raw = encode(state)
    assert len(raw) == FILE_BYTES
    assert decode(raw) == state


@given(st.binary(max_size=FILE_BYTES + 8))
def test_any_bytes_are_refused_with_a_reason(raw):
    with pytest.raises(BootStateError, match=r"\S"):
        decode(raw)


@given(st.binary(max_size=FILE_BYTES - 6))
def test_any_text_with_a_good_checksum_is_a_state_or_refused(text):
    try:
        state = decode(_with_checksum(text))
    except BootStateError:
        return
    assert decode(encode(state)) == state


@given(states, st.integers(0, FILE_BYTES * 8 - 1))
def test_a_flipped_bit_is_found(state, bit):
    raw = bytearray(encode(state))
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BootStateError, match="checksum"):
        decode(bytes(raw))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"order=A B\0a_state=good\0a_left=3\0b_state=bad\0b_left=0", "gen"),
        (b"gen=0x0\0order=A B\0a_state=good\0a_left=3\0b_state=bad\0b_left=0", "gen is 0"),
        (b"gen=0x1\0order=A A\0a_state=good\0a_left=3\0b_state=bad\0b_left=0", "order"),
        (b"gen=0x1\0order=A B\0a_state=fine\0a_left=3\0b_state=bad\0b_left=0", "slot a"),
        (b"gen=0x1\0order=A B\0a_state=good\0a_left=3\0b_state=bad\0b_left=-1", "slot b"),
        (b"gen=0x1\0gen=0x2\0order=A B", "each once"),
    ],
)
def test_what_is_wrong_is_named(text, reason):
    with pytest.raises(BootStateError, match=reason):
        decode(_with_checksum(text))


def test_the_form_that_u_boot_exports_is_read():
    # env export -c sorts the names, as U-Boot 2023.01 wrote it in QEMU
    text = b"a_left=2\0a_state=good\0b_left=0\0b_state=bad\0gen=0x2\0order=A B\0"
    state = decode(_with_checksum(text))
    assert state == BootState(
        2, (Slot.A, Slot.B), SlotRecord(SlotState.GOOD, 2), SlotRecord(SlotState.BAD, 0)
    )


@given(st.lists(st.tuples(changes, slots), min_size=1, max_size=12), st.data())
def test_a_write_that_is_cut_off_leaves_the_state_before(steps, data):
    files = [encode(FACTORY), encode(FACTORY)]
    for change, slot in steps:
        before, target = newest(files)
        raw = encode(change(before, slot))
        cut = data.draw(st.integers(0, FILE_BYTES - 1))
        torn = list(files)
        torn[target] = raw[:cut] + files[target][cut:]
        assert newest(torn)[0] in {before, decode(raw)}
        files[target] = raw
        assert newest(files)[0] == decode(raw)


def test_one_unreadable_file_does_not_matter_and_two_are_an_error():
    assert newest([None, encode(FACTORY)]) == (FACTORY, 0)
    assert newest([encode(FACTORY), b"x" * FILE_BYTES]) == (FACTORY, 1)
    with pytest.raises(BootStateError, match=r"bootstate\.0: .*bootstate\.1: "):
        newest([None, b""])


def test_an_update_is_tried_and_kept_when_confirmed():
    state = on_trial(given_up(FACTORY, Slot.B), Slot.B)
    assert state.primary is Slot.B
    assert state.b == SlotRecord(SlotState.TRIAL, STARTS_ON_TRIAL)
    assert confirmed(state, Slot.B).primary is Slot.B


def test_an_update_that_is_never_confirmed_gives_way():
    state = on_trial(FACTORY, Slot.B)
    used_up = BootState(state.generation, state.order, state.a, SlotRecord(SlotState.TRIAL, 0))
    assert used_up.primary is Slot.A


@given(states)
def test_what_is_bad_is_never_started_while_something_was_good(state):
    if SlotState.GOOD in {state.a.state, state.b.state}:
        assert state.record(state.primary).state is not SlotState.BAD
