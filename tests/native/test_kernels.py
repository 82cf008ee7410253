"""The C kernel finds what hashlib would find, and nothing else."""

import hashlib
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.native import _kernels

NONCES = 1 << 32
EASY = (1 << 252) - 1  # one header in sixteen
headers = st.binary(min_size=80, max_size=80)
targets = st.one_of(
    st.integers(0, (1 << 256) - 1),  # most are far too easy ...
    st.integers(240, 256).map(lambda bits: (1 << bits) - 1),  # ... these need some hashes
)


def sha256d(data):
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def number(header, nonce):
    return int.from_bytes(sha256d(header[:76] + nonce.to_bytes(4, "little")), "little")


def search(header, target, first, count):
    return _kernels.search(header, target.to_bytes(32, "little"), first, count)


@given(headers)
def test_a_header_hashes_as_with_hashlib(header):
    assert _kernels.sha256d_header(header) == sha256d(header)


@given(headers, targets, st.integers(0, NONCES - 1), st.integers(0, 300))
def test_the_lowest_nonce_that_meets_the_target_is_found(header, target, first, count):
    expected = next(
        (n for n in range(first, min(first + count, NONCES)) if number(header, n) <= target), None
    )
    assert search(header, target, first, count) == expected


@given(headers, st.integers(0, NONCES - 1))
def test_a_target_is_met_by_an_equal_hash_and_missed_by_one_below(header, nonce):
    value = number(header, nonce)
    assert search(header, value, nonce, 1) == nonce
    assert search(header, value - 1, nonce, 1) is None


@given(headers, st.integers(0, NONCES - 1))
def test_no_nonces_find_nothing(header, first):
    assert search(header, (1 << 256) - 1, first, 0) is None


@given(headers, st.integers(1, 64), st.sampled_from([64, 65, NONCES, (1 << 64) - 1]))
def test_the_search_ends_at_the_last_nonce_and_never_wraps(header, left, count):
    first = NONCES - left
    expected = next((n for n in range(first, NONCES) if number(header, n) <= EASY), None)
    assert search(header, EASY, first, count) == expected


def test_bitcoins_genesis_nonce_is_found():
    header = bytes.fromhex(
        "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b2"
        "7ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c"
    )
    target = 0xFFFF << 208
    assert search(header, target, 2083236893 - 1000, 10_000) == 2083236893


@pytest.mark.parametrize(
    ("header", "target", "first"),
    [(bytes(79), bytes(32), 0), (bytes(81), bytes(32), 0), (bytes(80), bytes(31), 0),
     (bytes(80), bytes(32), NONCES)],
)  # fmt: skip
def test_arguments_of_the_wrong_size_are_refused(header, target, first):
    with pytest.raises(ValueError, match=r"bytes, not|32 bits"):
        _kernels.search(header, target, first, 1)


def test_a_header_of_the_wrong_size_is_not_hashed():
    with pytest.raises(ValueError, match="79 bytes, not 80"):
        _kernels.sha256d_header(bytes(79))


def test_other_threads_run_while_it_searches():
    thread = threading.Thread(target=search, args=(bytes(80), 0, 0, 1_000_000))
    thread.start()
    turns = 0
    while thread.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 20  # with the interpreter's lock held there would be one or two
