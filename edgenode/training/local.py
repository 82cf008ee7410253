"""A local round: from a head's parameters, some steps over the reservoir, to a client update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgenode.tasks.metrics import Accuracy, accuracy
from edgenode.tasks.task import Augmentation, Schedule
from edgenode.training.graph import Floats, Graph
from edgenode.training.reservoir import Examples, Reservoir


class DivergedError(ArithmeticError):
    """The parameters are no longer finite numbers: the learning rate is too high for the data."""


@dataclass(frozen=True, slots=True, eq=False)
class LocalRound:
    """What a local round came to.

    Attributes:
        parameters: float32 (parameter_count,): where the round arrived.
        examples: Number of distinct examples trained on; the update's weight.
        steps: Steps taken.
        loss: Mean loss over the steps, each before its step; NaN if none was taken.
        stopped: Whether `should_stop` ended the round before its last step.
    """

    parameters: Floats
    examples: int
    steps: int
    loss: float
    stopped: bool


def train_round(
    graph: Graph,
    parameters: Floats,
    reservoir: Reservoir,
    schedule: Schedule,
    *,
    random: np.random.Generator,
    augment: Augmentation | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> LocalRound:
    """Train from `parameters` on minibatches of the reservoir.

    Momentum begins at zero: it belongs to the parameters of the last round, which the aggregate
    has replaced. `should_stop` is asked before every step; the trainer answers yes when a new head
    came, and starts again from that head's parameters.

    Args:
        graph: The model.
        parameters: float32 (parameter_count,), the head's; not changed.
        reservoir: Examples; with none, the round has no step.
        schedule: Steps, learning rate and momentum factor.
        random: Source of the augmentation's randomness.
        augment: Varies each batch, or None.
        should_stop: Whether to end the round at this step boundary.

    Raises:
        DivergedError: The loss or a parameter became infinite or NaN.
    """
    momentum = np.zeros_like(parameters)
    touched = np.zeros(len(reservoir), np.bool_)
    losses: list[float] = []
    stopped = False
    batches = reservoir.batches(graph.batch)
    for _ in range(schedule.steps if len(reservoir) else 0):
        if should_stop():
            stopped = True
            break
        places, batch = next(batches)
        step = graph.train(
            parameters,
            momentum,
            batch.x if augment is None else augment(batch.x, random),
            batch.y,
            learning_rate=schedule.learning_rate,
            momentum_factor=schedule.momentum_factor,
        )
        parameters, momentum = step.parameters, step.momentum
        losses.append(step.loss)
        touched[places] = True
    if not (np.isfinite(losses).all() and np.isfinite(parameters).all()):
        raise DivergedError(
            f"training diverged within {len(losses)} steps at learning rate "
            f"{schedule.learning_rate}; the round's result is dropped"
        )
    return LocalRound(
        parameters=parameters,
        examples=int(touched.sum()),
        steps=len(losses),
        loss=float(np.mean(losses)) if losses else float("nan"),
        stopped=stopped,
    )


def evaluate(graph: Graph, parameters: Floats, examples: Examples) -> Accuracy:
    """Accuracy of the model with these parameters on these examples."""
    return accuracy(graph.infer(parameters, examples.x), examples.y)
