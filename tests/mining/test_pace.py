"""Slices settle at their length whatever the core's speed, and rests keep the share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.mining.pace import SLICE_SECONDS, RateMeter, SlicePacer, rest


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
