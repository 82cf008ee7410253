"""What the rest of the node knows of a training graph, whichever runtime runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]


class GraphError(ValueError):
    """A runtime is missing, a file is no training graph, or an argument has the wrong shape."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """The result of one step of stochastic gradient descent.

    Attributes:
        parameters: float32 (parameter_count,), after the step.
        momentum: float32 (parameter_count,); with momentum factor 0 this is the gradient.
        loss: Weighted mean cross-entropy of the batch, before the step.
    """

    parameters: Floats
    momentum: Floats
    loss: float


class Graph(Protocol):
    """A model that can be trained and asked; it keeps no state between calls."""

    @property
    def parameter_count(self) -> int:
        """Length of the flat parameter vector."""
        ...

    @property
    def batch(self) -> int:
        """Examples in a step, at most."""
        ...

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        ...

    @property
    def classes(self) -> int:
        """Number of classes; labels are 0..classes-1."""
        ...

    def train(
        self,
        parameters: Floats,
        momentum: Floats,
        x: Floats,
        y: Labels,
        *,
        learning_rate: float,
        momentum_factor: float,
        weights: Floats | None = None,
    ) -> Step:
        """Take one step: m' = factor·m + gradient, p' = p - rate·m'.

        The loss is sum(weights · cross-entropy) / max(sum(weights), 1).

        Args:
            parameters: float32 (parameter_count,).
            momentum: float32 (parameter_count,); zeros to begin with.
            x: float32 (k, *input_shape), 1 <= k <= batch.
            y: int32 (k,), labels.
            learning_rate: Rate, not negative.
            momentum_factor: Factor in 0..1.
            weights: float32 (k,), not negative; all 1 if not given.

        Raises:
            GraphError: An argument has the wrong type, shape or range.
        """
        ...

    def infer(self, parameters: Floats, x: Floats) -> Floats:
        """Logits, float32 (k, classes), of x, float32 (k, *input_shape), for any k.

        Raises:
            GraphError: An argument has the wrong type or shape.
        """
        ...
