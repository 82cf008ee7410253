"""Aggregation of client updates into new parameters, bit for bit the same everywhere.

new = current + round(Σ nₘ·s(ageₘ)·Δₘ / Σ nₘ·s(ageₘ)), in 64-bit integers, rounded half to
even, saturated to 32 bits. When every update is based on the current parameters all discounts
s are equal and this is equation 2 of the paper: w = Σ (nₘ/n)·wₘ. The loops over the
parameters are in C (edgenode/native/weighted_mean.c).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from edgenode.learning.fixed_point import Fixed
from edgenode.native import _kernels

DISCOUNT_ONE = 256
"""The discount that counts in full; a discount is an integer in 1/256."""

WEIGHT_SUM_LIMIT = 2**31
"""Σ nₘ·s stays below this, so that Σ nₘ·s·Δₘ and twice a remainder fit 64 bits with sign."""


HELD_UPDATES = 4
HELD_BYTES = 1 << 22
"""Updates are counted together, so many or as soon as they have so many bytes."""


class AggregationRule(StrEnum):
    """How updates become one; genesis names one for each model."""

    FEDAVG = "fedavg"


class FedAvg:
    """Averages updates that come one by one.

    It holds 8 bytes for each parameter, and the last few updates: added together they take two
    thirds of the time that they take one by one, as each sum is then loaded and stored once.
    """

    def __init__(self, current: Fixed) -> None:
        """Begin at the current parameters, shape (n,)."""
        self._current = np.ascontiguousarray(current, np.int32)
        self._sums = np.zeros(current.shape, np.int64)
        self._weights = 0
        self._held: list[tuple[Fixed, int]] = []
        self._held_at_once = max(1, min(HELD_UPDATES, HELD_BYTES // max(1, self._current.nbytes)))

    def add(self, delta: Fixed, weight: int) -> None:
        """Count an update's differences, shape (n,), with the integer weight nₘ·s(ageₘ).

        Raises:
            ValueError: a shape differs, the weight is negative, or the weights exceed
                `WEIGHT_SUM_LIMIT`, which genesis rules out; it is not counted.
        """
        if delta.shape != self._current.shape:
            raise ValueError(f"update has shape {delta.shape}, not {self._current.shape}")
        if weight < 0:
            raise ValueError("negative weight")
        if self._weights + weight >= WEIGHT_SUM_LIMIT:
            raise ValueError(f"weights exceed {WEIGHT_SUM_LIMIT}")
        self._held.append((np.ascontiguousarray(delta, np.int32), weight))
        self._weights += weight
        if len(self._held) >= self._held_at_once:
            self._count_held()

    def _count_held(self) -> None:
        _kernels.add_weighted(self._sums, tuple(self._held))
        self._held.clear()

    def result(self) -> Fixed:
        """New parameters, shape (n,); the order of the updates does not matter.

        With no update, or none with weight, the parameters stay as they are.
        """
        if self._weights == 0:
            return self._current.copy()
        self._count_held()
        new = np.empty(self._current.shape, np.int32)
        _kernels.move_by_mean(self._current, self._sums, self._weights, new)
        return new


@dataclass(frozen=True, slots=True)
class WeightedUpdate:
    """One update's differences, shape (n,), and its integer weight nₘ·s(ageₘ)."""

    delta: Fixed
    weight: int


def fedavg(current: Fixed, updates: Iterable[WeightedUpdate]) -> Fixed:
    """New parameters, shape (n,), by updates that are all at hand; raises as `FedAvg.add`."""
    average = FedAvg(current)
    for update in updates:
        average.add(update.delta, update.weight)
    return average.result()
