"""What a trainer knows: windows cut from the samples as they arrive, and how well a model does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

import numpy as np

from edgenode.tasks.metrics import accuracy
from edgenode.tasks.stream import Annotation, SampleBlock
from edgenode.tasks.task import Schedule, Task, TaskError
from edgenode.training.graph import Floats, Graph, Labels
from edgenode.training.held_out import Memory, Part
from edgenode.training.local import LocalRound, train_round

log = logging.getLogger(__name__)


class OnlineTraining:
    """One task on one node: takes samples in, gives local rounds out. No I/O, no clock."""

    def __init__(
        self, task: Task, graph: Graph, schedule: Schedule, capacity: int, seed: int
    ) -> None:
        """Start with nothing seen; `capacity` in windows.

        Raises:
            TaskError: the task's examples do not come from sensors.
        """
        if task.cutter is None:
            raise TaskError(
                f'the examples of task "{task.name}" do not come from sensors; a program of '
                "yours can train it through the local API"
            )
        self.windows = 0
        self.disorder = 0
        self._task = task
        self._graph = graph
        self._schedule = schedule
        self._cutter = task.cutter()
        self._memory = Memory.of(capacity, task.input_shape, task.classes, seed)
        self._random = np.random.default_rng(seed)

    @property
    def reservoir(self) -> int:
        """Training windows held."""
        return len(self._memory.training)

    def take(self, records: Iterable[SampleBlock | Annotation]) -> None:
        """Cut windows from samples, in the order in which they were received.

        What does not fit its stream is counted in `disorder` and left out.
        """
        for record in records:
            try:
                if isinstance(record, Annotation):
                    self._cutter.annotate(record)
                    continue
                windows = self._cutter.feed(record)
            except ValueError as error:
                self.disorder += 1
                log.warning("a record is left out", extra={"error": error})
                continue
            length = self._task.input_shape[0]
            for window in windows:
                part = self._memory.add(window.x, window.label, window.stream, window.first, length)
                self.windows += part is not Part.NEITHER

    def round(self, parameters: Floats, should_stop: Callable[[], bool]) -> LocalRound:
        """One local round from these parameters; raises DivergedError."""
        return train_round(
            self._graph,
            parameters,
            self._memory.training,
            self._schedule,
            random=self._random,
            augment=self._task.augment,
            should_stop=should_stop,
        )

    def accuracy(self, parameters: Floats) -> float | None:
        """Accuracy on the windows that this node never trains on; None while there are none."""
        logits: list[Floats] = []
        labels: list[Labels] = []
        # In parts: a copy of them all would be as large as a quarter of the reservoir.
        for part in self._memory.held_out.slices(self._graph.batch):
            logits.append(self._graph.infer(parameters, part.x))
            labels.append(part.y)
        return accuracy(np.concatenate(logits), np.concatenate(labels)).overall if labels else None
