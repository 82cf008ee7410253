from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.learning.aggregation import WeightedUpdate, fedavg
from edgenode.learning.fixed_point import (
    INT32_MAX,
    INT32_MIN,
    from_bytes,
    to_bytes,
    to_fixed,
    to_float,
)
from edgenode.learning.update_codec import Codec, CodingError, decode, difference, encode

int32 = st.integers(INT32_MIN, INT32_MAX)
vectors = st.lists(int32, min_size=3, max_size=3).map(lambda v: np.array(v, np.int32))
weights = st.integers(1, 65535 * 256)
updates = st.lists(st.builds(WeightedUpdate, vectors, weights), max_size=6)


def slow_fedavg(current: np.ndarray, given_updates: list[WeightedUpdate]) -> list[int]:
    """The formula in exact fractions; Python's round is half to even."""
    total = sum(u.weight for u in given_updates)
    out = []
    for i, value in enumerate(current):
        mean = Fraction(sum(int(u.delta[i]) * u.weight for u in given_updates), total or 1)
        out.append(max(INT32_MIN, min(INT32_MAX, int(value) + round(mean))))
    return out


@given(vectors, updates)
def test_fedavg_equals_exact_arithmetic(current, given_updates):
    assert fedavg(current, given_updates).tolist() == slow_fedavg(current, given_updates)


@given(vectors, updates, st.randoms())
def test_fedavg_does_not_depend_on_the_order_of_updates(current, given_updates, random):
    shuffled = given_updates.copy()
    random.shuffle(shuffled)
    assert (fedavg(current, given_updates) == fedavg(current, shuffled)).all()


def test_fedavg_is_equation_2_of_the_paper_when_no_update_is_stale():
    current = np.array([10, 20, 30], np.int32)
    trained = [np.array([16, 20, 27], np.int32), np.array([10, 28, 31], np.int32)]
    examples = [30, 10]
    expected = [(30 * a + 10 * b) / 40 for a, b in zip(*trained, strict=True)]
    new = fedavg(
        current,
        [
            WeightedUpdate(difference(w, current), n * 256)
            for w, n in zip(trained, examples, strict=True)
        ],
    )
    assert new.tolist() == np.rint(expected).tolist()


def test_halves_are_rounded_to_even():
    current = np.zeros(4, np.int32)
    pairs = [WeightedUpdate(np.array([1, 3, -1, -3], np.int32), 1), WeightedUpdate(current, 1)]
    assert fedavg(current, pairs).tolist() == [0, 2, 0, -2]


def test_parameters_without_updates_stay():
    current = np.array([1, 2, 3], np.int32)
    assert fedavg(current, []).tolist() == [1, 2, 3]


def test_extreme_sums_saturate_instead_of_wrapping():
    current = np.array([INT32_MAX, INT32_MIN, 0], np.int32)
    same = np.array([INT32_MAX, INT32_MIN, INT32_MIN], np.int32)
    heaviest = [WeightedUpdate(same, 2**25 - 1) for _ in range(64)]
    assert fedavg(current, heaviest).tolist() == [INT32_MAX, INT32_MIN, INT32_MIN]


def test_updates_of_another_shape_or_too_much_weight_are_errors():
    current = np.zeros(3, np.int32)
    with pytest.raises(ValueError, match="shape"):
        fedavg(current, [WeightedUpdate(np.zeros(4, np.int32), 1)])
    with pytest.raises(ValueError, match="weights exceed"):
        fedavg(current, [WeightedUpdate(current, 2**31)])
    with pytest.raises(ValueError, match="negative"):
        fedavg(current, [WeightedUpdate(current, -1)])


@given(vectors)
def test_parameters_survive_their_bytes(values):
    assert (from_bytes(to_bytes(values), 3) == values).all()


@given(st.lists(st.floats(-100, 100, width=32), min_size=1))
def test_float32_values_survive_fixed_point_to_half_a_step(values):
    floats = np.array(values, np.float32)
    assert np.abs(to_float(to_fixed(floats, 24), 24) - floats).max() <= 2**-18


def test_a_diverged_parameter_is_named():
    with pytest.raises(ValueError, match="parameter 1 is nan"):
        to_fixed(np.array([0.0, np.nan, np.inf]), 24)


@given(vectors)
def test_an_update_survives_its_payload(delta):
    assert (decode(encode(delta, Codec.INT32), 3, Codec.INT32) == delta).all()


@given(st.binary(max_size=40))
def test_any_payload_is_decoded_to_the_update_that_codes_back_to_it_or_refused(payload):
    try:
        delta = decode(payload, 3, Codec.INT32)
    except CodingError:
        return
    assert encode(delta, Codec.INT32) == payload
