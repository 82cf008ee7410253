"""A bounded memory of training examples from a stream that never ends.

Exercises arrive in blocks, minutes of one and then minutes of another, and some patients do one of
them far more often. Training on the newest examples alone would forget the others, and a plain
reservoir would hold what is frequent. So places are shared by class: when the memory is full, a
new example takes a random place of the largest class; an example of the largest class itself stays
with the probability that keeps a uniform sample of what its class has seen. This is the class-
balancing reservoir of Chrysakis and Moens, "Online continual learning from imbalanced data" (ICML
2020). While the memory is not full, and where classes are equally frequent, it is the plain
reservoir.

Which examples are trained on at all is `held_out`'s business.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgenode.training.graph import Floats, Labels


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Examples with their labels: float32 (n, *input_shape) and int32 (n,)."""

    x: Floats
    y: Labels

    def __len__(self) -> int:
        """Number of examples."""
        return len(self.y)


class Reservoir:
    """A class-balanced sample, of bounded size, of all examples added so far.

    The same additions with the same seed give the same content and the same batches.
    """

    def __init__(
        self, capacity: int, input_shape: tuple[int, ...], classes: int, seed: int
    ) -> None:
        """Reserve memory for `capacity` examples (4 bytes for each number of each).

        Raises:
            ValueError: There would be less than one place for each class.
        """
        if capacity < classes:
            raise ValueError(f"capacity {capacity} is less than the {classes} classes")
        self._x = np.zeros((capacity, *input_shape), np.float32)
        self._y = np.zeros(capacity, np.int32)
        self._places: list[list[int]] = [[] for _ in range(classes)]
        self._seen = [0] * classes
        self._full_once = [False] * classes
        self._size = 0
        self._random = np.random.default_rng(seed)

    def __len__(self) -> int:
        """Number of examples held."""
        return self._size

    @property
    def seen(self) -> int:
        """Number of examples ever added."""
        return sum(self._seen)

    @property
    def per_class(self) -> tuple[int, ...]:
        """Number of examples held of each class."""
        return tuple(len(places) for places in self._places)

    def add(self, x: Floats, label: int) -> None:
        """Take one example, which may replace another or be left out.

        Raises:
            ValueError: The example has another shape or is not finite, or there is no such class.
        """
        if x.shape != self._x.shape[1:] or not np.isfinite(x).all():
            raise ValueError(f"an example of shape {x.shape} is not {self._x.shape[1:]} or finite")
        if not 0 <= label < len(self._places):
            raise ValueError(f"label {label} is not in 0..{len(self._places) - 1}")
        self._seen[label] += 1
        place = self._place_for(label)
        if place is not None:
            self._x[place] = x
            self._y[place] = label

    def _place_for(self, label: int) -> int | None:
        if self._size < len(self._y):
            place = self._size
            self._size += 1
        else:
            counts = self.per_class
            largest = int(np.argmax(counts))
            # A class that was the largest once has lost examples: from then on it is a sample.
            self._full_once[largest] = True
            if counts[label] == counts[largest]:
                self._full_once[label] = True
            if self._full_once[label]:
                drawn = int(self._random.integers(self._seen[label]))
                return self._places[label][drawn] if drawn < counts[label] else None
            lost = int(self._random.integers(counts[largest]))
            place = self._places[largest].pop(lost)
        self._places[label].append(place)
        return place

    def batches(self, size: int) -> Iterator[tuple[NDArray[np.intp], Examples]]:
        """Yield batches for ever, each epoch in a new random order; none while empty.

        The last batch of an epoch may be smaller. Examples added meanwhile count from the next
        epoch on.

        Yields:
            The places of the examples in the reservoir, and copies of the examples.
        """
        while self._size:
            order = self._random.permutation(self._size)
            for first in range(0, self._size, size):
                places = order[first : first + size]
                yield places, Examples(self._x[places], self._y[places])

    def slices(self, size: int) -> Iterator[Examples]:
        """All examples held, as copies of `size` at a time."""
        for first in range(0, self._size, size):
            places = slice(first, min(first + size, self._size))
            yield Examples(self._x[places].copy(), self._y[places].copy())

    def content(self) -> Examples:
        """All examples held, as copies."""
        return Examples(self._x[: self._size].copy(), self._y[: self._size].copy())
