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


@given(rows(int32, st.integers(-(2**62), 2**62)), st.integers(0, WEIGHT_MAX), st.booleans())
@example(([INT32_MIN] * 17, [-(2**62) + 2**31] * 17), WEIGHT_MAX, False)
def test_weighted_numbers_are_added_exactly_wherever_they_lie(given_rows, weight, shifted):
    numbers, before = given_rows
    raw = bytes(shifted) + np.array(numbers, np.int32).tobytes()
    view = np.frombuffer(raw, np.int32, offset=int(shifted), count=len(numbers))
    sums = np.array(before, np.int64)
    _kernels.add_weighted(sums, view, weight)
    assert sums.tolist() == [s + weight * n for s, n in zip(before, numbers, strict=True)]


@given(rows(int32, st.integers(-(2**63), 2**63 - 1)), st.integers(1, WEIGHT_MAX))
@example(([0] * 20, [-(2**63), 2**63 - 1] * 10), 1)
@example(([1] * 4, [-3, -1, 1, 3]), 2)
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


three, sums_of_three = np.zeros(3, np.int32), np.zeros(3, np.int64)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: _kernels.add_weighted(sums_of_three, three[:2], 1), "numbers has 8 bytes"),
        (lambda: _kernels.add_weighted(sums_of_three, three, -1), "0 to 2147483647, not -1"),
        (lambda: _kernels.add_weighted(sums_of_three, three, 2**31), "not 2147483648"),
        (lambda: _kernels.add_weighted(three, three, 1), "64-bit"),
        (lambda: _kernels.move_by_mean(three[:2], sums_of_three, 1, three), "current has 8 bytes"),
        (lambda: _kernels.move_by_mean(three, sums_of_three, 1, three[:2]), "moved has 8 bytes"),
        (lambda: _kernels.move_by_mean(three, sums_of_three, 0, three), "1 to 2147483647, not 0"),
    ],
)
def test_what_does_not_fit_together_is_an_error(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_sums_at_an_odd_address_are_an_error():
    odd = np.frombuffer(bytearray(25), np.uint8)[1:]
    with pytest.raises(ValueError, match="aligned"):
        _kernels.add_weighted(odd, np.zeros(3, np.int32), 1)


def test_what_must_not_be_written_is_not():
    frozen = np.zeros(3, np.int64)
    frozen.flags.writeable = False
    with pytest.raises(TypeError):
        _kernels.add_weighted(frozen, three, 1)


AVERAGE = """
#include <stdio.h>
#include "weighted_mean.h"
enum { COUNT = 1003 };
int main(void)
{
    static uint8_t current[4 * COUNT], payload[4 * COUNT + 1], moved[4 * COUNT];
    static int64_t sums[COUNT];
    uint32_t weight, weights = 0;
    if (fread(current, sizeof current, 1, stdin) != 1)
        return 1;
    while (fread(&weight, sizeof weight, 1, stdin) == 1) {
        if (fread(payload, sizeof payload, 1, stdin) != 1)
            return 2;
        edgenode_add_weighted(sums, payload + 1, COUNT, weight);
        weights += weight;
    }
    edgenode_move_by_mean(current, sums, COUNT, weights, moved);
    return fwrite(moved, sizeof moved, 1, stdout) != 1;
}
"""
COUNT = 1003


@pytest.mark.parametrize(
    ("compiler", "package", "emulator", "model"),
    [
        ("gcc", "gcc", "qemu-x86_64-static", "Nehalem"),
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
    deltas = random.integers(INT32_MIN, INT32_MAX, (5, COUNT), np.int32, endpoint=True)
    weights = [7680, 1, 2**25 - 1, 300 * 256, 51]
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
