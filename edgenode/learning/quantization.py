"""Fewer bits for a client update: differences as small numbers times a power of two.

What a box does before consensus and nobody checks: how a number was chosen does not matter, only
that all read the same difference from it. Integers all the same, so that a box that repeats itself
says the same.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgenode.learning.fixed_point import Fixed

Exact = NDArray[np.int64]
"""Differences before they are coded, shape (n,): with what was left over they exceed 32 bits."""


@dataclass(frozen=True, slots=True)
class Quantized:
    """Differences numbers · 2^shift; `numbers` has shape (n,)."""

    numbers: Fixed
    shift: int

    def distance(self, wanted: Exact) -> float:
        """The square of how far these differences are from the wanted ones, shape (n,)."""
        error = (wanted - (self.numbers.astype(np.int64) << self.shift)).astype(np.float64)
        return float(error @ error)


def largest(wanted: Exact, count: int) -> Exact:
    """The `count` differences furthest from 0, the others 0; of equal ones the first stay."""
    if count >= len(wanted):
        return wanted
    order = np.argsort(-np.abs(wanted), kind="stable")
    kept = np.zeros_like(wanted)
    kept[order[:count]] = wanted[order[:count]]
    return kept


def quantize(wanted: Exact, shift: int, bits: int) -> Quantized:
    """Differences, shape (n,), divided by 2^shift, rounded half to even, saturated.

    No number has more than `bits`, nor leaves 32 bits when it is a difference again.
    """
    half = (1 << shift) >> 1
    odd = (wanted >> shift) & (1 if shift else 0)
    rounded = (wanted + max(half - 1, 0) + odd) >> shift
    bound = (1 << min(bits - 1, 31 - shift)) - 1
    return Quantized(rounded.clip(-bound, bound).astype(np.int32), shift)
