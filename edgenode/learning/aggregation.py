"""Aggregation of client updates into new parameters, bit for bit the same everywhere.

new = current + round(Σ nₘ·s(ageₘ)·Δₘ / Σ nₘ·s(ageₘ)), in 64-bit integers, rounded half to
even, saturated to 32 bits. When every update is based on the current parameters all discounts
s are equal and this is equation 2 of the paper: w = Σ (nₘ/n)·wₘ.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from edgenode.learning.fixed_point import Fixed, saturated

DISCOUNT_ONE = 256
"""The discount that counts in full; a discount is an integer in 1/256."""

WEIGHT_SUM_LIMIT = 2**31
"""Σ nₘ·s stays below this, so that Σ nₘ·s·Δₘ and twice a remainder fit 64 bits with sign."""


class AggregationRule(StrEnum):
    """How updates become one; genesis names one for each model."""

    FEDAVG = "fedavg"


@dataclass(frozen=True, slots=True)
class WeightedUpdate:
    """One update's differences, shape (n,), and its integer weight nₘ·s(ageₘ)."""

    delta: Fixed
    weight: int


def fedavg(current: Fixed, updates: Iterable[WeightedUpdate]) -> Fixed:
    """New parameters, shape (n,); the order of the updates does not matter.

    With no update, or none with weight, the parameters stay as they are.

    Raises:
        ValueError: a shape differs, a weight is negative, or the weights exceed
            `WEIGHT_SUM_LIMIT`, which genesis rules out.
    """
    total = np.zeros(current.shape, dtype=np.int64)
    weights = 0
    for update in updates:
        if update.delta.shape != current.shape:
            raise ValueError(f"update has shape {update.delta.shape}, not {current.shape}")
        if update.weight < 0:
            raise ValueError("negative weight")
        weights += update.weight
        if weights >= WEIGHT_SUM_LIMIT:
            raise ValueError(f"weights exceed {WEIGHT_SUM_LIMIT}")
        total += update.delta.astype(np.int64) * update.weight
    if weights == 0:
        return current.copy()
    return saturated(current + _divide_half_to_even(total, weights))


def _divide_half_to_even(numerator: NDArray[np.int64], divisor: int) -> NDArray[np.int64]:
    quotient, remainder = np.divmod(numerator, divisor)
    twice = 2 * remainder
    round_up = (twice > divisor) | ((twice == divisor) & (quotient % 2 == 1))
    rounded: NDArray[np.int64] = quotient + round_up
    return rounded
