"""Every miner and the pool make the same of a difficulty, and no block is harder than a share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.mining.share_difficulty import (
    EASIEST,
    HARDEST,
    difficulty_number,
    exponent_of,
    hardest_below,
    hashes_of,
    share_target,
    target_of_number,
)

exponents = st.integers(EASIEST, HARDEST)


def of_minerd(difficulty):
    """diff_to_target of pooler's cpuminer, util.c, in its 64-bit steps."""
    k = 6
    while k > 0 and difficulty > 1.0:
        difficulty /= 4294967296.0
        k -= 1
    m = int(4294901760.0 / difficulty)
    assert m < 1 << 64
    return m << 32 * k


def of_cpuminer_opt(difficulty):
    """diff_to_hash of cpuminer-opt, util.c: the upper 128 bits, and ones below."""
    m = int((1 / difficulty) * 2.0**96)
    assert 0 < m < 1 << 128
    return m << 128 | (1 << 128) - 1


@given(exponents)
def test_what_the_known_miners_make_of_a_difficulty_is_what_the_pool_takes(exponent):
    number = float(difficulty_number(exponent))
    assert of_minerd(number) <= share_target(exponent)
    assert of_minerd(number) == target_of_number(number)
    if exponent <= 96:
        # Beyond the lowest 128 bits, of which a hash meets none by chance.
        assert of_cpuminer_opt(number) >> 128 == share_target(exponent) >> 128


@given(st.integers(1, (1 << 256) - 1))
def test_no_miner_keeps_back_a_hash_that_makes_a_block(target):
    exponent = hardest_below(target)
    assert EASIEST <= exponent <= HARDEST
    if exponent > EASIEST:
        assert of_minerd(float(difficulty_number(exponent))) >= target
    if exponent < HARDEST:
        assert of_minerd(float(difficulty_number(exponent + 1))) < target


@given(exponents)
def test_a_share_takes_as_many_hashes_as_it_counts(exponent):
    assert hashes_of(exponent) == (1 << 256) // share_target(exponent)
    assert exponent_of(hashes_of(exponent)) == exponent
    assert exponent_of(2 * hashes_of(exponent) - 1) == exponent


@pytest.mark.parametrize("number", [0, -1.0, 2.0**-40])
def test_a_difficulty_that_asks_for_nothing_is_refused(number):
    with pytest.raises(ValueError, match="difficulty"):
        target_of_number(number)
