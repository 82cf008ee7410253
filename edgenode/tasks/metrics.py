"""How good a classifier is: accuracy, and recall of each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Counts of examples and of right answers, in all and for each class.

    Attributes:
        examples: Examples of each class.
        right: Of these, how many were given their class.
    """

    examples: tuple[int, ...]
    right: tuple[int, ...]

    @property
    def overall(self) -> float | None:
        """Share of right answers, or None if there were no examples."""
        total = sum(self.examples)
        return sum(self.right) / total if total else None

    @property
    def per_class(self) -> tuple[float | None, ...]:
        """Share of right answers among the examples of each class; None where there are none."""
        return tuple(
            right / examples if examples else None
            for right, examples in zip(self.right, self.examples, strict=True)
        )


def accuracy(logits: NDArray[np.float32], labels: NDArray[np.int32]) -> Accuracy:
    """Compare the largest logit of each example (n, classes) with its label (n,).

    Raises:
        ValueError: The shapes do not fit, or a label is not in 0..classes-1.
    """
    if logits.ndim != 2 or labels.shape != (len(logits),):
        raise ValueError(f"logits of shape {logits.shape} and labels of shape {labels.shape}")
    classes = logits.shape[1]
    if len(labels) and (labels.min() < 0 or labels.max() >= classes):
        raise ValueError(f"a label is not in 0..{classes - 1}")
    hits = labels[logits.argmax(axis=1) == labels] if len(labels) else labels
    return Accuracy(
        tuple(int(n) for n in np.bincount(labels, minlength=classes)),
        tuple(int(n) for n in np.bincount(hits, minlength=classes)),
    )
