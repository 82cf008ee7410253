"""Every C kernel finds what hashlib would find, and nothing else."""

import random
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.native import _kernels
from tests.native.hashes import NONCES, Search, lowest, number, searches, sha256d

EASY = (1 << 252) - 1  # one header in sixteen
KERNELS = {name: lanes for name, lanes, runs_here in _kernels.kernels() if runs_here}
ELSEWHERE = [name for name, _, runs_here in _kernels.kernels() if not runs_here]

headers = st.binary(min_size=80, max_size=80)
targets = st.one_of(
    st.integers(0, (1 << 256) - 1),  # most are far too easy ...
    st.integers(240, 256).map(lambda bits: (1 << bits) - 1),  # ... these need some hashes
)
each_kernel = pytest.mark.parametrize("kernel", KERNELS)


def search(kernel, header, target, first, count):
    return _kernels.search(header, target.to_bytes(32, "little"), first, count, kernel)


@given(headers)
def test_a_header_hashes_as_with_hashlib(header):
    assert _kernels.sha256d_header(header) == sha256d(header)


def test_the_portable_kernel_comes_first_and_always_runs():
    assert _kernels.kernels()[0] == ("portable", 1, True)


@each_kernel
@given(headers, targets, st.integers(0, NONCES - 1), st.integers(0, 150))
def test_the_lowest_nonce_that_meets_the_target_is_found(kernel, header, target, first, count):
    assert search(kernel, header, target, first, count) == lowest(header, target, first, count)


@each_kernel
@given(headers, st.integers(0, NONCES - 1))
def test_a_target_is_met_by_an_equal_hash_and_missed_by_one_below(kernel, header, nonce):
    value = number(header, nonce)
    assert search(kernel, header, value, nonce, 1) == nonce
    assert search(kernel, header, value - 1, nonce, 1) is None


@each_kernel
@given(headers, st.integers(0, NONCES - 1), st.integers(1, 7), st.booleans())
def test_words_below_the_first_decide_when_the_first_is_equal(kernel, header, nonce, words, more):
    value = number(header, nonce)
    bit = 1 << 32 * words - 1  # the highest bit of the first word that differs
    target = value | bit if more else value & ~bit
    assert search(kernel, header, target, nonce, 1) == (nonce if value <= target else None)


@each_kernel
@given(headers, st.integers(0, NONCES - 1))
def test_no_nonces_find_nothing(kernel, header, first):
    assert search(kernel, header, (1 << 256) - 1, first, 0) is None


@each_kernel
@given(headers, st.integers(1, 64), st.sampled_from([64, 65, NONCES, (1 << 64) - 1]))
def test_the_search_ends_at_the_last_nonce_and_never_wraps(kernel, header, left, count):
    first = NONCES - left
    assert search(kernel, header, EASY, first, count) == lowest(header, EASY, first, left)


@each_kernel
def test_a_nonce_behind_the_range_is_not_found_even_in_the_same_step(kernel):
    header = bytes(range(80))
    for count in range(2 * KERNELS[kernel] + 2):
        target = number(header, 1000 + count)  # met by that nonce, which is one too far
        expected = lowest(header, target, 1000, count)
        assert search(kernel, header, target, 1000, count) == expected


@each_kernel
@pytest.mark.parametrize("seed", range(5))
def test_hits_in_every_lane_at_every_end_are_those_of_hashlib(kernel, seed):
    for case in searches(seed, KERNELS[kernel]):
        found = search(kernel, case.header, case.target, case.first, case.count)
        assert found == case.expected, case


@pytest.mark.parametrize("kernel", [name for name in KERNELS if name != "portable"])
def test_long_searches_agree_with_the_portable_kernel(kernel):
    chosen = random.Random(kernel)
    for _ in range(100):
        header, count = chosen.randbytes(80), chosen.randrange(60_000)
        case = Search(header, 1 << chosen.randint(238, 246), chosen.randrange(NONCES), count)
        arguments = case.header, case.target, case.first, case.count
        assert search(kernel, *arguments) == search("portable", *arguments), case


@each_kernel
@given(headers, st.binary(min_size=4, max_size=4))
def test_the_nonce_that_the_header_has_is_ignored(kernel, header, nonce):
    assert search(kernel, header, EASY, 5, 64) == search(kernel, header[:76] + nonce, EASY, 5, 64)


@each_kernel
def test_bitcoins_genesis_nonce_is_found(kernel):
    header = bytes.fromhex(
        "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b2"
        "7ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c"
    )
    target = 0xFFFF << 208
    assert search(kernel, header, target, 2083236893 - 1000, 10_000) == 2083236893


@pytest.mark.parametrize(
    ("header", "target", "first"),
    [(bytes(79), bytes(32), 0), (bytes(81), bytes(32), 0), (bytes(80), bytes(31), 0),
     (bytes(80), bytes(32), NONCES), (bytes(80), bytes(32), -1),
     (bytes(80), bytes(32), NONCES << 32)],
)  # fmt: skip
def test_arguments_of_the_wrong_size_are_refused(header, target, first):
    with pytest.raises(ValueError, match=r"bytes, not|32 bits|below 0"):
        _kernels.search(header, target, first, 1)


@pytest.mark.parametrize("count", [-1, 1 << 64])
def test_a_count_that_is_no_number_of_nonces_is_refused(count):
    with pytest.raises(ValueError, match="below 0 or has more than 64 bits"):
        _kernels.search(bytes(80), bytes(32), 0, count)


def test_a_header_of_the_wrong_size_is_not_hashed():
    with pytest.raises(ValueError, match="79 bytes, not 80"):
        _kernels.sha256d_header(bytes(79))


@pytest.mark.parametrize("name", ["", "auto", "AVX2", "sse9"])
def test_a_kernel_that_does_not_exist_is_refused(name):
    with pytest.raises(ValueError, match=f"^there is no kernel {name}$"):
        search(name, bytes(80), 0, 0, 1)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_kernel_of_other_processors_is_refused(name):
    with pytest.raises(ValueError, match=f"^this machine cannot run the kernel {name}$"):
        search(name, bytes(80), 0, 0, 1)


@each_kernel
def test_other_threads_run_while_it_searches(kernel):
    count = 1_000_000 * (1 + KERNELS[kernel])  # some tenths of a second with each
    thread = threading.Thread(target=search, args=(kernel, bytes(80), 0, 0, count))
    thread.start()
    turns = 0
    while thread.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 20  # with the interpreter's lock held there would be one or two
