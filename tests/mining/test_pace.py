"""Slices settle at their length whatever the core's speed, and rests keep the share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.mining.pace import SLICE_SECONDS, RateMeter, RestDebt, SlicePacer, rest


@given(st.floats(1e3, 1e9))
def test_slices_settle_at_their_length_on_any_core(rate):
    pacer = SlicePacer()
    for _ in range(40):
        pacer.measured(pacer.count, pacer.count / rate)
    assert pacer.count / rate == pytest.approx(SLICE_SECONDS, rel=0.05)


def test_a_slice_that_took_too_long_is_cut_at_once():
    pacer = SlicePacer()
    for _ in range(20):
        pacer.measured(pacer.count, pacer.count / 1e6)
    pacer.measured(pacer.count, 3.0)
    assert pacer.count == pytest.approx(300, rel=0.05)


def test_one_fast_slice_only_doubles_the_next():
    pacer = SlicePacer()
    before = pacer.count
    pacer.measured(before, 1e-9)
    assert pacer.count == 2 * before


@given(st.integers(1, 10**6), st.floats(0, 1e6))
def test_a_slice_never_becomes_empty(count, seconds):
    pacer = SlicePacer()
    pacer.measured(count, seconds)
    assert pacer.count >= 1


@given(st.floats(0.001, 10), st.floats(0.01, 1))
def test_rests_keep_the_share(seconds, share):
    assert seconds / (seconds + rest(seconds, share)) == pytest.approx(share)


def test_the_rate_is_that_of_the_last_readings():
    meter = RateMeter(readings=2)
    assert meter.rate(0.0, 0) == 0
    assert meter.rate(1.0, 100) == 100
    assert meter.rate(2.0, 100) == 50
    assert meter.rate(3.0, 100) == 0
    assert meter.rate(3.0, 100) == 0


class Clock:
    """A clock that a test sets."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_debt_of_rest_is_paid_by_time_and_by_nothing_else():
    clock = Clock()
    debt = RestDebt(0.25, clock)
    assert debt.owed == 0
    clock.now += 2  # hashing
    debt.worked(2)
    assert debt.owed == pytest.approx(6)
    clock.now += 4
    assert debt.owed == pytest.approx(2)
    clock.now += 1000
    assert debt.owed == 0
    debt.worked(2)
    assert debt.owed == pytest.approx(6), "who waited for long has no rest in hand"


def test_debts_add_up():
    clock = Clock()
    debt = RestDebt(0.5, clock)
    debt.worked(1)
    debt.worked(1)
    assert debt.owed == pytest.approx(2)


def test_who_hashes_all_the_time_owes_nothing():
    debt = RestDebt(1, Clock())
    debt.worked(10)
    assert debt.owed == 0
