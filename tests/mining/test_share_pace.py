"""Difficulty finds a miner's speed and stays there: about one share in a spacing."""

import random

import pytest

from edgenode.mining.share_difficulty import hashes_of
from edgenode.mining.share_pace import LOWEST, START, SharePace

SPACING = 10_000


def mine(pace, rate, until, seed, now=0.0, switch_ms=0):
    """Shares of a miner with so many hashes a second; times in ms at which they came.

    After a change of difficulty the miner goes on with the old one for `switch_ms`.
    """
    rng = random.Random(seed)
    told, pending, came = pace.exponent, None, []
    while now < until:
        step = rng.expovariate(rate / hashes_of(told)) * 1000
        if now // 1000 != (now + step) // 1000:
            step = min(step, 1000)  # memoryless: the search begins anew at each look at the clock
            found = step < 1000
        else:
            found = True
        now += step
        if found:
            came.append(int(now))
            pace.share(told, int(now))
        pace.tick(int(now))
        if pace.exponent != told and pending is None:
            pending = now + switch_ms
        if pending is not None and now >= pending:
            told, pending = pace.exponent, None
    return came


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rate", [2e4, 3e5, 2e6, 2e7, 1.5e8, 3e9])
def test_a_share_comes_about_once_in_a_spacing_whatever_the_speed(rate, seed):
    pace = SharePace(SPACING, 0)
    mine(pace, rate, 300_000, seed)
    came = mine(pace, rate, 300_000 + 3_600_000, seed + 100, now=300_000.0)
    interval = 3_600_000 / len(came)
    assert SPACING / 2.5 < interval < SPACING * 2.5


def test_a_fast_miner_at_an_easy_start_is_slowed_before_it_floods():
    for seed in range(5):
        pace = SharePace(SPACING, 0)
        came = mine(pace, 1e12, 60_000, seed, switch_ms=5)
        assert len(came) < 1000
        assert max(sum(t <= u < t + 1000 for u in came) for t in came) < 700


def test_a_miner_that_slows_down_is_followed():
    pace = SharePace(SPACING, 0)
    mine(pace, 1e8, 300_000, 1)
    fast = pace.exponent
    mine(pace, 1e5, 900_000, 2, now=300_000.0)
    assert fast - pace.exponent in range(8, 12)


def test_silence_leads_to_the_easiest_shares_that_are_worth_a_request():
    pace = SharePace(SPACING, 0)
    for now in range(0, 3_600_000, 1000):
        pace.tick(now)
    assert pace.exponent == LOWEST < START


def test_luck_alone_seldom_moves_the_difficulty():
    moves = 0
    for seed in range(20):
        pace = SharePace(SPACING, 0, start=-5)
        rng, now = random.Random(seed), 0.0
        rate = hashes_of(-5) / 7  # a share in 7 s at 2^-5: in the middle between two moves
        before = pace.exponent
        for _ in range(500):
            now += rng.expovariate(rate / hashes_of(pace.exponent)) * 1000
            pace.share(pace.exponent, int(now))
            pace.tick(int(now))
            moves += pace.exponent != before
            before = pace.exponent
    assert moves < 20 * 500 / 50


def test_what_a_miner_suggests_is_taken_within_the_bounds():
    pace = SharePace(SPACING, 0)
    pace.suggest(3, 0)
    assert pace.exponent == 3
    pace.suggest(-100, 0)
    assert pace.exponent == LOWEST
