"""The C arithmetic of aggregation against Python's exact integers."""

import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgenode.learning.fixed_point import INT32_MAX, INT32_MIN
from edgenode.native import _kernels
from tests.conftest import require_tool

NATIVE = Path(_kernels.__file__).parent
WEIGHT_MAX = 2**31 - 1
RUN = 16
"""Numbers that the C code takes at a time: what is left over goes another way."""

int32 = st.integers(INT32_MIN, INT32_MAX)
SIDE_BY_SIDE = 4
"""Updates that it adds to a sum before it stores it."""
lengths = st.integers(0, 3 * RUN)


def listed(length, elements):
    return st.lists(elements, min_size=length, max_size=length)


def rows(elements, other):
    """Two lists of one length."""
    return lengths.flatmap(lambda n: st.tuples(listed(n, elements), listed(n, other)))


def moved(current, sums, weight):
    """The formula in exact fractions; Python's round is half to even."""
    means = [round(Fraction(int(total), weight)) for total in sums]
    return [max(INT32_MIN, min(INT32_MAX, c + m)) for c, m in zip(current, means, strict=True)]


@st.composite
def updates(draw):
    """Sums, and up to twice as many updates as are added side by side."""
    length = draw(lengths)
    weighted = st.tuples(listed(length, int32), st.integers(0, WEIGHT_MAX))
    return (
        draw(listed(length, st.integers(-(2**62), 2**62))),
        draw(st.lists(weighted, max_size=2 * SIDE_BY_SIDE + 1)),
    )


LOWEST = [-(2**62) + 2**31] * 17
HEAVIEST = ([INT32_MIN] * 17, WEIGHT_MAX)


@given(updates(), st.integers(0, 1))
@example((LOWEST, [HEAVIEST]), 0)
@example((LOWEST, [HEAVIEST] * SIDE_BY_SIDE), 1)
def test_weighted_numbers_are_added_exactly_wherever_they_lie(given_updates, shift):
    before, weighted = given_updates
    sums, expected = np.array(before, np.int64), np.array(before, object)
    pairs = []
    for numbers, weight in weighted:
        raw = bytes(shift) + np.array(numbers, np.int32).tobytes()
        pairs.append((np.frombuffer(raw, np.int32, offset=shift, count=len(before)), weight))
        expected += weight * np.array(numbers, object)
    _kernels.add_weighted(sums, tuple(pairs))
    assert [int(s) % 2**64 for s in sums] == [int(e) % 2**64 for e in expected]


@given(rows(int32, st.integers(-(2**63), 2**63 - 1)), st.integers(1, WEIGHT_MAX))
@example(([0] * 20, [-(2**63), 2**63 - 1] * 10), 1)
@example(([1] * 4, [-3, -1, 1, 3]), 2)
@example(([0] * 4, [-(2**63), 2**63 - 1, 2**62, 0]), 2**30)
@example(([0] * 4, [-(2**63), 2**63 - 1, 2**62, 0]), WEIGHT_MAX)
def test_a_mean_is_rounded_half_to_even_and_saturates(given_rows, weight):
    current, sums = given_rows
    new = np.empty(len(current), np.int32)
    _kernels.move_by_mean(np.array(current, np.int32), np.array(sums, np.int64), weight, new)
    assert new.tolist() == moved(current, sums, weight)


@given(st.lists(st.tuples(int32, int32, st.integers(1, WEIGHT_MAX)), min_size=1))
def test_a_half_goes_to_the_even_neighbour(cases):
    for base, quotient, weight in cases:
        for twice in range(2 * quotient * weight, 2 * (quotient + 1) * weight + 1, weight):
            new = np.empty(1, np.int32)
            sums = np.array([twice // 2], np.int64)
            _kernels.move_by_mean(np.array([base], np.int32), sums, weight, new)
            assert new.tolist() == moved([base], sums, weight)


three, sums_of_three = np.ones(3, np.int32), np.zeros(3, np.int64)


def add(*weighted):
    _kernels.add_weighted(sums_of_three, weighted)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: add((three[:2], 1)), "numbers has 8 bytes"),
        (lambda: add((three, -1)), "0 to 2147483647, not -1"),
        (lambda: add((three, 1), (three, 2**31)), "not 2147483648"),
        (lambda: add(*[(three, 1)] * 17), "17 updates at once, not up to 16"),
        (lambda: _kernels.add_weighted(three, ((three, 1),)), "64-bit"),
        (lambda: _kernels.move_by_mean(three[:2], sums_of_three, 1, three), "current has 8 bytes"),
        (lambda: _kernels.move_by_mean(three, sums_of_three, 1, three[:2]), "moved has 8 bytes"),
        (lambda: _kernels.move_by_mean(three, sums_of_three, 0, three), "1 to 2147483647, not 0"),
    ],
)
def test_what_does_not_fit_together_is_an_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()
    assert not sums_of_three.any()


def test_what_is_no_pair_is_an_error():
    for wrong in ([three, 1], (three,), (three, 1, 1), (three, 1.5), (None, 1)):
        with pytest.raises(TypeError):
            add((three, 1), wrong)
    assert not sums_of_three.any()


def test_sums_at_an_odd_address_are_an_error():
    odd = np.frombuffer(bytearray(25), np.uint8)[1:]
    with pytest.raises(ValueError, match="aligned"):
        _kernels.add_weighted(odd, ((three, 1),))


def test_what_must_not_be_written_is_not():
    frozen = np.zeros(3, np.int64)
    frozen.flags.writeable = False
    with pytest.raises(TypeError):
        _kernels.add_weighted(frozen, ((three, 1),))


AVERAGE = """
#include <stdio.h>
#include "weighted_mean.h"
enum { COUNT = 1003, UPDATES = 7 };
int main(void)
{
    static uint8_t current[4 * COUNT], payloads[UPDATES][4 * COUNT + 1], moved[4 * COUNT];
    static int64_t sums[COUNT];
    edgenode_weighted updates[UPDATES];
    uint32_t weights = 0;
    if (fread(current, sizeof current, 1, stdin) != 1)
        return 1;
    for (int i = 0; i < UPDATES; i++) {
        if (fread(&updates[i].weight, sizeof updates[i].weight, 1, stdin) != 1
            || fread(payloads[i], sizeof payloads[i], 1, stdin) != 1)
            return 2;
        updates[i].numbers = payloads[i] + 1;
        weights += updates[i].weight;
    }
    edgenode_add_weighted(sums, COUNT, updates, UPDATES);
    edgenode_move_by_mean(current, sums, COUNT, weights, moved);
    return fwrite(moved, sizeof moved, 1, stdout) != 1;
}
"""
COUNT = 1003


@pytest.mark.parametrize(
    ("compiler", "package", "emulator", "model"),
    [
        ("gcc", "gcc", "qemu-x86_64-static", "Nehalem"),
        ("gcc", "gcc", "qemu-x86_64-static", "Haswell"),  # the first with AVX2
        ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu", "qemu-aarch64-static", "cortex-a53"),
    ],
)
def test_processors_average_alike(compiler, package, emulator, model, tmp_path):
    source, program = tmp_path / "average.c", tmp_path / "average"
    source.write_text(AVERAGE)
    subprocess.run(
        [require_tool(compiler, package), "-O2", "-std=c11", "-static", f"-I{NATIVE}", source,
         NATIVE / "weighted_mean.c", "-o", program],
        check=True,
    )  # fmt: skip
    random = np.random.default_rng(1)
    current = random.integers(INT32_MIN, INT32_MAX, COUNT, np.int32, endpoint=True)
    deltas = random.integers(INT32_MIN, INT32_MAX, (7, COUNT), np.int32, endpoint=True)
    weights = [7680, 1, 2**25 - 1, 300 * 256, 51, 0, 2**30]
    done = subprocess.run(
        [require_tool(emulator, "qemu-user-static"), "-cpu", model, program],
        input=current.tobytes()
        + b"".join(
            np.uint32(weight).tobytes() + b"\x01" + delta.tobytes()
            for weight, delta in zip(weights, deltas, strict=True)
        ),
        capture_output=True,
        check=True,
    )
    sums = np.array(weights, np.int64) @ deltas.astype(np.int64)
    assert np.frombuffer(done.stdout, np.int32).tolist() == moved(
        [int(value) for value in current], sums, sum(weights)
    )
