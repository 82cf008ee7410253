"""A box's learning without the box: its windows as they arrive, its memory, its local rounds."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from datasets.recordings import Series
from datasets.replay import windows_of
from edgenode.tasks.activity.windows import Window
from edgenode.tasks.task import Schedule, Task
from edgenode.training.graph import Floats, Graph
from edgenode.training.held_out import Memory
from edgenode.training.local import evaluate, train_round
from edgenode.training.reservoir import Examples


class Learner:
    """Trains by the node's own code; `cpu` holds the CPU seconds of each round."""

    def __init__(self, task: Task, windows: Sequence[Window], capacity: int, seed: int) -> None:
        """Start with nothing seen; `windows` arrive by `collect`."""
        self.memory = Memory.of(capacity, task.input_shape, task.classes, seed)
        self.cpu: list[float] = []
        self._task = task
        self._windows = windows
        self._arrived = 0
        self._random = np.random.default_rng(seed)

    def collect(self, share: float) -> None:
        """Let windows arrive, up to a share of all."""
        until = min(len(self._windows), round(share * len(self._windows)))
        for window in self._windows[self._arrived : until]:
            self.memory.add(window.x, window.label, window.stream, window.first, len(window.x))
        self._arrived = until

    def train(self, graph: Graph, parameters: Floats, schedule: Schedule) -> tuple[Floats, int]:
        """One local round: the new parameters, and the examples that they come from."""
        began = time.process_time()
        result = train_round(
            graph,
            parameters,
            self.memory.training,
            schedule,
            random=self._random,
            augment=self._task.augment,
        )
        self.cpu.append(time.process_time() - began)
        return result.parameters, result.examples


class HeldOutPeople:
    """Measures a model on people whose recordings no box has."""

    def __init__(self, graph: Graph, recordings: Sequence[Series]) -> None:
        """Cut the windows of these recordings."""
        windows = list(windows_of(recordings, 0))
        self._graph = graph
        self._examples = Examples(
            np.stack([window.x for window in windows]),
            np.array([window.label for window in windows], np.int32),
        )

    def __len__(self) -> int:
        """Number of windows."""
        return len(self._examples)

    def accuracy(self, parameters: Floats) -> float:
        """Share of the windows that a model with these parameters gets right."""
        overall = evaluate(self._graph, parameters, self._examples).overall
        assert overall is not None, "there are windows"
        return overall
