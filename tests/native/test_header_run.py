"""The C arithmetic on headers against the Python rules, bit for bit."""

import random
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.ledger.difficulty import asert
from edgenode.ledger.hashes import sha256d
from edgenode.ledger.target import MAX_EXPONENT, compress, expand, work
from edgenode.native import _kernels
from tests.conftest import require_tool

NATIVE = Path(_kernels.__file__).parent
HIGHEST = (1 << 256) - 1


def sizes(bits):
    """Numbers of every size up to so many bits."""
    return st.integers(1, bits).flatmap(lambda b: st.integers(1 << b - 1, (1 << b) - 1))


targets = sizes(256)
moments = st.one_of(st.integers(-(2**46) + 1, 2**46 - 1), st.integers(-100_000, 100_000))


def number(raw):
    return int.from_bytes(raw, "little")


def raw(value):
    return value.to_bytes(32, "little")


def with_target(compact, rest=bytes(72)):
    return rest + compact.to_bytes(4, "little") + bytes(4)


@given(targets, targets, moments, st.integers(1, 2**32 - 1))
def test_asert_gives_the_same_target(anchor, limit, seconds, half_life):
    expected = asert(anchor, limit, seconds, half_life)
    assert number(_kernels.asert(raw(anchor), raw(limit), seconds, half_life)) == expected


@given(targets, st.sampled_from([-1, 0, 1]), st.integers(-600, 600))
def test_asert_gives_the_same_target_where_whole_powers_of_two_begin(anchor, beside, shifts):
    """A second beside a multiple of the half-life is where rounding goes wrong."""
    seconds = 65536 * shifts + beside
    expected = asert(anchor, HIGHEST, seconds, 65536)
    assert number(_kernels.asert(raw(anchor), raw(HIGHEST), seconds, 65536)) == expected


def test_asert_gives_the_same_target_for_every_fraction():
    """With a half-life of 65536 s each second is one step of the polynomial."""
    anchor = (1 << 200) + 12_345
    for fraction in range(65536):
        expected = asert(anchor, HIGHEST, fraction, 65536)
        assert number(_kernels.asert(raw(anchor), raw(HIGHEST), fraction, 65536)) == expected


@given(st.lists(targets.map(compress), max_size=20))
def test_the_work_of_headers_is_the_sum_of_theirs(compacts):
    expected = sum(work(expand(compact)) for compact in compacts)
    headers = b"".join(map(with_target, compacts))
    if expected <= HIGHEST:
        assert number(_kernels.total_work(headers)) == expected
    else:
        with pytest.raises(ValueError, match="256 bits"):
            _kernels.total_work(headers)


@pytest.mark.parametrize("exponent", range(4, MAX_EXPONENT + 1))
def test_the_work_is_right_at_the_edges_of_each_exponent(exponent):
    for mantissa in (1 << 16, (1 << 16) + 1, (1 << 24) - 1, 0x812345):
        compact = exponent << 24 | mantissa
        assert number(_kernels.total_work(with_target(compact))) == work(expand(compact))


@pytest.mark.parametrize("compact", [0, 0x04000000, 0x0500FFFF, 0x03123456, 0x22123456, 2**32 - 1])
def test_a_target_that_is_no_compact_form_has_no_work(compact):
    with pytest.raises(ValueError, match="compact form"):
        _kernels.total_work(with_target(compact))


@given(st.lists(st.binary(min_size=80, max_size=80), max_size=5))
def test_ids_are_those_of_hashlib(headers):
    assert _kernels.header_ids(b"".join(headers)) == b"".join(map(sha256d, headers))


ONE = raw(1)
RULES = (raw(HIGHEST), 0x21FFFFFF, 90, 1920, 3840, 600)
PARENT = (bytes(32), bytes(8), 0x21FFFFFF, False)


@pytest.mark.parametrize(
    "call",
    [
        lambda: _kernels.header_ids(bytes(79)),
        lambda: _kernels.total_work(bytes(81)),
        lambda: _kernels.asert(bytes(31), bytes(32), 0, 1),
        lambda: _kernels.asert(ONE, bytes(33), 0, 1),
        lambda: _kernels.asert(ONE, ONE, 0, 0),
        lambda: _kernels.asert(ONE, ONE, 2**46, 1),
        lambda: _kernels.asert(ONE, ONE, 0, -1),
        lambda: _kernels.asert(ONE, ONE, 0, 2**64 + 1),
        lambda: _kernels.asert(ONE, bytes(32), 0, 1),
        lambda: _kernels.asert(bytes(32), ONE, 0, 1),
        lambda: _kernels.check_run(RULES, 0, PARENT, bytes(79)),
        lambda: _kernels.check_run((bytes(31), *RULES[1:]), 0, PARENT, bytes(80)),
        lambda: _kernels.check_run((*RULES[:3], 0, *RULES[4:]), 0, PARENT, bytes(80)),
        lambda: _kernels.check_run((*RULES[:2], 2**32, *RULES[3:]), 0, PARENT, bytes(80)),
        lambda: _kernels.check_run(RULES, 0, (bytes(31), *PARENT[1:]), bytes(80)),
        lambda: _kernels.check_run(RULES, 0, (bytes(32), bytes(4), 0, False), bytes(80)),
        lambda: _kernels.check_run(RULES, 0, (bytes(32), b"", 0, True), bytes(80)),
        lambda: _kernels.check_run(RULES, 0, (bytes(32), bytes(48), 0, False), bytes(80)),
        lambda: _kernels.check_run(RULES, 0, (bytes(32), bytes(9), 0, False), bytes(80)),
        lambda: _kernels.check_run(RULES, 0, (bytes(32), bytes(8), 2**32, False), bytes(80)),
        lambda: _kernels.check_run(RULES, 0, (bytes(32), bytes(8), 0, False), bytes(80)),
        lambda: _kernels.check_run(RULES, -1, PARENT, bytes(80)),
    ],
)
def test_arguments_out_of_range_are_refused(call):
    with pytest.raises(ValueError, match=r"bytes|range|below 0|is 0"):
        call()


HASHES = """
#include <stdio.h>
#include "header_hash.h"
#include "sha256d.h"
int main(void)
{
    uint8_t header[80], fast[32];
    while (fread(header, 1, sizeof header, stdin) == sizeof header) {
        edgenode_fastest_header_hash()(header, fast);
        fwrite(fast, 1, sizeof fast, stdout);
    }
    return edgenode_fastest_header_hash() == edgenode_sha256d_header ? 3 : 0;
}
"""
PROCESSORS = {
    "x86-64 without SHA": ("gcc", "gcc", "qemu-x86_64-static", "Nehalem", 3),
    "ARM with SHA": (
        "aarch64-linux-gnu-gcc",
        "gcc-aarch64-linux-gnu",
        "qemu-aarch64-static",
        "max",
        0,
    ),
}
"""Compiler, its package, emulator, processor, and the status that the program ends with.

Whichever way this machine has is tried by the other tests."""


@pytest.mark.parametrize("processor", PROCESSORS)
def test_processors_hash_alike_with_sha_instructions_and_without(processor, tmp_path):
    compiler, package, emulator, model, status = PROCESSORS[processor]
    source, program = tmp_path / "hashes.c", tmp_path / "hashes"
    source.write_text(HASHES)
    subprocess.run(
        [require_tool(compiler, package), "-O2", "-std=c11", "-static", f"-I{NATIVE}", source,
         NATIVE / "header_hash.c", NATIVE / "sha256d.c", *NATIVE.glob("kernel*.c"), "-o", program],
        check=True,
    )  # fmt: skip
    headers = random.Random(1).randbytes(80 * 100)
    done = subprocess.run(
        [require_tool(emulator, "qemu-user-static"), "-cpu", model, program],
        input=headers,
        capture_output=True,
        check=False,
    )
    assert done.returncode == status
    assert done.stdout == b"".join(sha256d(headers[i : i + 80]) for i in range(0, 8000, 80))
