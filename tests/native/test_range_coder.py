"""The range coder: what it codes comes back, in the bytes that the specification reads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.native import _kernels
from tests.learning import reference_code

ROOM = 1 << 20


def longest(steps):
    return 2 ** (2**steps - 1) - 1


@st.composite
def coded_numbers(draw):
    """Steps, and numbers of which most are small, or none, or any."""
    steps = draw(st.integers(1, 5))
    most = draw(st.sampled_from([longest(steps), min(2, longest(steps)), 0]))
    numbers = draw(st.lists(st.integers(-most, most), max_size=200))
    return steps, np.array(numbers, np.int32)


def decoded(code, steps, count):
    numbers = np.empty(count, np.int32)
    return numbers.tolist() if _kernels.range_decode(code, steps, numbers) else None


@given(coded_numbers())
def test_numbers_come_back_and_the_specification_reads_the_same(case):
    steps, numbers = case
    code = _kernels.range_encode(numbers, steps, ROOM)
    assert decoded(code, steps, len(numbers)) == numbers.tolist()
    assert reference_code.decode(code, len(numbers), steps) == numbers.tolist()


@given(coded_numbers(), st.data())
def test_other_bytes_are_no_code_or_that_of_other_numbers(case, data):
    steps, numbers = case
    altered = bytearray(_kernels.range_encode(numbers, steps, ROOM))
    place = data.draw(st.integers(0, len(altered) - 1))
    altered[place] ^= data.draw(st.integers(1, 255))
    read = decoded(bytes(altered), steps, len(numbers))
    if read is None:
        with pytest.raises(reference_code.NoCodeError):
            reference_code.decode(bytes(altered), len(numbers), steps)
    else:
        assert read != numbers.tolist()
        assert _kernels.range_encode(np.array(read, np.int32), steps, ROOM) == altered


@given(st.binary(max_size=60), st.integers(0, 40), st.integers(1, 5))
def test_any_bytes_are_read_as_the_specification_reads_them(code, count, steps):
    try:
        expected = reference_code.decode(code, count, steps)
    except reference_code.NoCodeError:
        expected = None
    assert decoded(code, steps, count) == expected


@given(coded_numbers())
def test_one_byte_more_or_less_is_no_code(case):
    steps, numbers = case
    code = _kernels.range_encode(numbers, steps, ROOM)
    assert decoded(code + b"\0", steps, len(numbers)) is None
    assert decoded(code[:-1], steps, len(numbers)) is None


def test_carries_run_through_long_rows_of_255():
    """Numbers whose code lies near the upper end of its interval, of all kinds of lengths."""
    for seed in range(200):
        rng = np.random.default_rng(seed)
        numbers = rng.choice([-1, 1, -(2**31 - 1), 2**31 - 1], 300).astype(np.int32)
        code = _kernels.range_encode(numbers, 5, ROOM)
        assert decoded(code, 5, 300) == numbers.tolist()
        assert reference_code.decode(code, 300, 5) == numbers.tolist()


@pytest.mark.parametrize("steps", range(1, 6))
def test_a_number_too_long_for_the_steps_is_not_coded(steps):
    for sign in (-1, 1):
        assert _kernels.range_encode(np.array([sign * longest(steps)], np.int32), steps, 64)
        too_long = sign * (longest(steps) + 1) if steps < 5 else -(2**31)
        assert _kernels.range_encode(np.array([too_long], np.int32), steps, 64) is None


def test_a_code_takes_no_more_room_than_is_given():
    numbers = np.arange(-50, 50, dtype=np.int32)
    code = _kernels.range_encode(numbers, 3, ROOM)
    assert _kernels.range_encode(numbers, 3, len(code)) == code
    for room in range(len(code)):
        assert _kernels.range_encode(numbers, 3, room) is None


def test_plain_bits_beyond_the_range_are_no_code():
    """A division leaves a little of the range over: this would be a second code of a number."""
    beyond, code = bytes.fromhex("fbffc00000000000"), bytes.fromhex("faffc00000000000")
    assert decoded(code, 5, 1) == [1879048192]
    assert decoded(beyond, 5, 1) is None
    with pytest.raises(reference_code.NoCodeError, match="beyond"):
        reference_code.decode(beyond, 1, 5)


def test_no_numbers_are_four_bytes():
    assert _kernels.range_encode(np.empty(0, np.int32), 3, ROOM) == bytes(4)
    assert decoded(bytes(4), 3, 0) == []


@pytest.mark.parametrize("steps", [0, 6, -1])
def test_a_wrong_call_says_what_is_wrong(steps):
    with pytest.raises(ValueError, match="steps"):
        _kernels.range_encode(np.empty(0, np.int32), steps, ROOM)
    with pytest.raises(ValueError, match="steps"):
        _kernels.range_decode(bytes(4), steps, np.empty(0, np.int32))
    with pytest.raises(ValueError, match="each has 4"):
        _kernels.range_encode(bytes(3), 3, ROOM)
    with pytest.raises(ValueError, match="room"):
        _kernels.range_encode(bytes(4), 3, -1)
