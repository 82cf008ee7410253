"""Kernels and the range coder on processors that this machine is not, emulated by QEMU."""

import re
import subprocess
import sysconfig
import tomllib
from pathlib import Path

import numpy as np
import pytest

from edgenode.native import _kernels
from tests.conftest import require_tool
from tests.native.hashes import searches, sha256d

ROOT = Path(__file__).parents[2]
SHA_INSTRUCTION = re.compile(r"\bsha256(h|h2|su0|su1)\b")
CASES = [case for seed, lanes in enumerate((1, 4, 8)) for case in searches(seed, lanes)]


def extension():
    """How the extension is built."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (module,) = (
        module
        for module in project["tool"]["setuptools"]["ext-modules"]
        if module["name"] == "edgenode.native._kernels"
    )
    return module


def compiled(compiler, package, program, *options, main="known_answers.c"):
    """What the extension holds, with a main of its own."""
    module = extension()
    with_python = ("/_kernels.c", "_python.c")
    sources = [source for source in module["sources"] if not source.endswith(with_python)]
    subprocess.run(
        [require_tool(compiler, package), "-static", *module["extra-compile-args"], *options,
         "-Werror", "-Iedgenode/native", *sources, f"tests/native/{main}", "-o", program],
        cwd=ROOT, check=True,
    )  # fmt: skip
    return program


def test_no_compiler_warns_of_the_extension():
    """Who installs it with a newer one meets a warning only, not an error."""
    module = extension()
    run = subprocess.run(
        [require_tool("gcc", "gcc"), "-fsyntax-only", *module["extra-compile-args"],
         f"-I{sysconfig.get_paths()['include']}", *module["sources"]],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert not run.stderr


@pytest.fixture(scope="module")
def for_x86(tmp_path_factory):
    program = tmp_path_factory.mktemp("x86") / "known_answers"
    return compiled("x86_64-linux-gnu-gcc", "gcc-x86-64-linux-gnu", program)


@pytest.fixture(scope="module")
def for_arm(tmp_path_factory):
    program = tmp_path_factory.mktemp("arm") / "known_answers"
    return compiled("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu", program)


@pytest.fixture(scope="module")
def for_arm_without_sha2(tmp_path_factory):
    program = tmp_path_factory.mktemp("pi4") / "known_answers"
    options = ("-DWITHOUT_SHA2", "-Wl,--wrap=getauxval")
    return compiled("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu", program, *options)


def answers(emulator, program, processor, *options):
    """The kernels that ran there, and for each search what each found and the header's id."""
    lines = [
        f"{case.header.hex()} {case.target.to_bytes(32, 'little').hex()} {case.first} {case.count}"
        for case in CASES
    ]
    run = subprocess.run(
        [require_tool(emulator, "qemu-user-static"), "-cpu", processor, *options, program],
        input="\n".join(lines), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run  # an illegal instruction ends it by a signal
    kernels, *found = (line.split() for line in run.stdout.splitlines())
    return kernels, found


def expected(kernels):
    return [
        [*[str(case.expected).lower()] * len(kernels), sha256d(case.header).hex()] for case in CASES
    ]


@pytest.mark.parametrize(
    ("processor", "runs"),
    [
        ("Nehalem", ["portable"]),
        ("Haswell", ["portable", "avx2"]),
        # The processor has AVX2, but the system does not keep its registers.
        ("Haswell,-xsave", ["portable"]),
    ],
)
def test_an_x86_processor_is_asked_nothing_that_it_cannot(for_x86, processor, runs):
    kernels, found = answers("qemu-x86_64-static", for_x86, processor)
    assert kernels == runs
    assert found == expected(kernels)


@pytest.mark.parametrize("processor", ["max", "cortex-a76"])
def test_an_arm_processor_with_sha_instructions_uses_them(for_arm, processor, tmp_path):
    log = tmp_path / "log"
    kernels, found = answers("qemu-aarch64-static", for_arm, processor, "-d", "in_asm", "-D", log)
    assert kernels == ["portable", "neon", "armv8"]
    assert found == expected(kernels)
    assert SHA_INSTRUCTION.search(log.read_text())


def test_an_arm_processor_without_them_never_meets_one(for_arm_without_sha2, tmp_path):
    log = tmp_path / "log"
    kernels, found = answers(
        "qemu-aarch64-static", for_arm_without_sha2, "cortex-a72", "-d", "in_asm", "-D", log
    )
    assert kernels == ["portable", "neon"]
    assert found == expected(kernels)
    executed = log.read_text()
    assert "sli " in executed  # the log names instructions: here the rotations of NEON's kernel
    assert not SHA_INSTRUCTION.search(executed)


def test_an_arm_processor_codes_numbers_in_the_same_bytes(tmp_path):
    """A payload is consensus: all must read the same differences from it."""
    program = compiled(
        "aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu", tmp_path / "codes", main="known_codes.c"
    )
    rng = np.random.default_rng(1)
    cases = []
    for steps in range(1, 6):
        longest = 2 ** (2**steps - 1) - 1
        for spread in (0.3, max(1.0, longest / 20), longest):
            numbers = rng.laplace(0, spread, 500).clip(-longest, longest).astype(np.int32)
            cases.append((steps, numbers))
    run = subprocess.run(
        [require_tool("qemu-aarch64-static", "qemu-user-static"), "-cpu", "cortex-a72", program],
        input="\n".join(f"{s} {len(n)} {' '.join(map(str, n))}" for s, n in cases),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    expected = [f"{_kernels.range_encode(n, s, 16_000).hex()} {len(n)}" for s, n in cases]
    assert run.stdout.splitlines() == expected
