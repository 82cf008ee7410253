"""What a trainer is configured with, checked before anything is opened."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from edgenode.tasks.registry import TASKS
from edgenode.tasks.task import Schedule

RUNTIMES = ("tflite", "litert")

# A window of the activity task has 6 kB (256 samples of six float32): 31 MB with the held-out
# windows, a quarter as many. One begins every 1.28 s of exercise: they cover an hour and a half.
DEFAULT_RESERVOIR = 4096
# 2^15 windows of that task are 250 MB with the held-out ones, what a box of 1 GB can spare and no
# more.
_RESERVOIR = (64, 1 << 15)
_STEPS = (1, 100_000)
# More cores than any box has.
_THREADS = (1, 64)


@dataclass(frozen=True, slots=True)
class TrainerSettings:
    """The settings of one trainer.

    Attributes:
        model: Name of the task and its model, such as "activity".
        samples: The sample store that the collector fills.
        runtime: "tflite" (tflite-runtime) or "litert" (ai-edge-litert).
        threads: Threads of the runtime. With two, tflite-runtime becomes several times slower
            as soon as another process wants one of the cores.
        reservoir: Training windows to remember, at most.
        steps: Steps of a local round; None for the task's own number.
        learning_rate: Learning rate; None for the task's own.
        momentum_factor: Momentum factor in 0..1; None for the task's own.
    """

    model: str
    samples: Path
    runtime: str = "tflite"
    threads: int = 1
    reservoir: int = DEFAULT_RESERVOIR
    steps: int | None = None
    learning_rate: float | None = None
    momentum_factor: float | None = None

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: One of them is unusable; the text begins with its name.
        """
        if self.model not in TASKS:
            raise ValueError(f'model: there is no task "{self.model}"; there are: {_learnable()}')
        if TASKS[self.model].cutter is None:
            raise ValueError(
                f'model: the examples of "{self.model}" do not come from sensors; those of these '
                f"do: {_learnable()}"
            )
        if self.runtime not in RUNTIMES:
            raise ValueError(f'runtime: "{self.runtime}" is neither "tflite" nor "litert"')
        for key, value, (low, high) in (
            ("threads", self.threads, _THREADS),
            ("reservoir", self.reservoir, _RESERVOIR),
            ("steps", self.steps, _STEPS),
        ):
            if value is not None and not low <= value <= high:
                raise ValueError(f"{key}: {value} is not in {low}..{high}")
        rate, factor = self.learning_rate, self.momentum_factor
        if rate is not None and not (rate > 0 and math.isfinite(rate)):
            raise ValueError(f"learning_rate: {rate} is not above 0")
        if factor is not None and not 0 <= factor < 1:
            raise ValueError(f"momentum_factor: {factor} is not in 0..1 (1 excluded)")

    @property
    def schedule(self) -> Schedule:
        """The task's schedule with what these settings change."""
        task = TASKS[self.model].schedule
        return Schedule(
            steps=task.steps if self.steps is None else self.steps,
            learning_rate=task.learning_rate if self.learning_rate is None else self.learning_rate,
            momentum_factor=(
                task.momentum_factor if self.momentum_factor is None else self.momentum_factor
            ),
        )


def _learnable() -> str:
    """The tasks that a trainer can learn: it has what sensors sent, and nothing else."""
    return ", ".join(f'"{name}"' for name in sorted(TASKS) if TASKS[name].cutter is not None)
