"""Which of the native kernels to search with: the one asked for, or the fastest of this machine."""

from __future__ import annotations

import functools
import time

from edgenode.native import _kernels

AUTO = "auto"
"""In place of a kernel's name: the fastest that runs here."""

KERNELS = tuple(name for name, _, _ in _kernels.kernels())
"""The names of all kernels, also of those for other processors."""

PORTABLE = KERNELS[0]
"""Runs everywhere."""

RUNS_HERE = tuple(name for name, _, runs_here in _kernels.kernels() if runs_here)
"""The names of the kernels that this machine runs; the portable one at least."""

# A turn is long against the clock's steps and short against a thread's time slice. The best of a
# few turns is one that nothing disturbed: with all kernels some tens of milliseconds in all.
_TURN_SECONDS = 0.002
_TURNS = 5
_FIRST_COUNT = 256

_HEADER = bytes(80)
_NEVER = bytes(32)


class KernelError(ValueError):
    """There is no such kernel, or this machine cannot run it; the text says which there are."""


def choose(name: str) -> str:
    """The kernel to search with.

    Args:
        name: A kernel's name, or "auto".

    Raises:
        KernelError: There is no such kernel, or this machine cannot run it.
    """
    check(name)
    if name == AUTO:
        return fastest()
    if name not in RUNS_HERE:
        raise KernelError(
            f"this machine cannot run the kernel {name}, only {', '.join(RUNS_HERE)}; "
            f'"{AUTO}" takes the fastest of them'
        )
    return name


def check(name: str) -> None:
    """Check that the name is "auto" or a kernel's, if perhaps one for another processor.

    Raises:
        KernelError: There is no such kernel.
    """
    if name != AUTO and name not in KERNELS:
        raise KernelError(f'there is no kernel "{name}", only {", ".join((AUTO, *KERNELS))}')


@functools.cache
def fastest() -> str:
    """The kernel that hashed the most in a short trial, which the first call makes.

    Nothing else tells: of two processors with the same instructions, one may do AVX2 in halves or
    slow down with AVX-512.
    """
    rates = measured()
    return max(rates, key=lambda name: rates[name])


def measured() -> dict[str, float]:
    """Headers that each kernel of this machine hashes per second of one thread's CPU time."""
    counts = {name: _count(name) for name in RUNS_HERE}
    best = dict.fromkeys(RUNS_HERE, 0.0)
    # In turns, so that a processor that slows down meanwhile does so for all.
    for _ in range(_TURNS):
        for name, count in counts.items():
            best[name] = max(best[name], count / _seconds(name, count))
    return best


def _count(name: str) -> int:
    """Nonces that the kernel tries in about a turn."""
    count = _FIRST_COUNT
    while _seconds(name, count) < _TURN_SECONDS:
        count *= 2
    return count


def _seconds(name: str, count: int) -> float:
    """CPU seconds of this thread, which other programs do not lengthen; never 0."""
    began = time.thread_time_ns()
    _kernels.search(_HEADER, _NEVER, 0, count, name)
    return max(1, time.thread_time_ns() - began) / 1e9
