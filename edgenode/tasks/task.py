"""What the rest of the node needs to know of a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgenode.tasks.stream import Annotation, SampleBlock

# A parameter on the chain is an int32: value = integer · 2⁻²⁴.
FRACTION_BITS = 24

# Examples, and the source of randomness, to examples of the same shape, varied.
Augmentation = Callable[[NDArray[np.float32], np.random.Generator], NDArray[np.float32]]


class Window(Protocol):
    """One training example cut from a stream."""

    @property
    def x(self) -> NDArray[np.float32]:
        """The example, of the task's input shape."""
        ...

    @property
    def label(self) -> int:
        """Its class."""
        ...

    @property
    def stream(self) -> int:
        """The stream that it was cut from."""
        ...

    @property
    def first(self) -> int:
        """Index in the stream of its first sample."""
        ...


class Cutter(Protocol):
    """Cuts windows from streams of samples, as they arrive."""

    def annotate(self, annotation: Annotation) -> None:
        """Take note of what is done from an index on; raises ValueError."""
        ...

    def feed(self, block: SampleBlock) -> Sequence[Window]:
        """Take samples; return the windows that they complete; raises ValueError."""
        ...


class TaskError(ValueError):
    """A task is unknown or its files are not as they should be."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a node trains on a task, chosen by experiment (docs/training.md).

    Attributes:
        steps: Steps of a local round, at most.
        learning_rate: Learning rate of SGD.
        momentum_factor: Momentum factor of SGD; momentum begins at zero in each round.
    """

    steps: int
    learning_rate: float
    momentum_factor: float


@dataclass(frozen=True, slots=True)
class Task:
    """A task: its model's files, the shape of its examples and the names of its classes.

    Attributes:
        name: Name, as in configuration files and on the chain.
        folder: Where the task's files lie.
        input_shape: Shape of one example.
        class_names: Name of each label, in order.
        schedule: How it is trained.
        model_names: For each runtime, the name of the model file that trains fastest in it.
        augment: Varies a batch of training examples, or None.
        cutter: Makes what cuts this task's windows from sensors' streams; None for a task whose
            examples do not come from sensors.
    """

    name: str
    folder: Path
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    schedule: Schedule
    model_names: Mapping[str, str]
    augment: Augmentation | None = None
    cutter: Callable[[], Cutter] | None = None

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def genesis_file(self) -> Path:
        """File of the parameters with which a chain begins: int32, little-endian."""
        return self.folder / "parameters.bin"

    def model_file(self, runtime: str) -> Path:
        """The .tflite file that trains fastest in a runtime.

        Raises:
            TaskError: The runtime is unknown.
        """
        try:
            return self.folder / self.model_names[runtime]
        except KeyError:
            known = ", ".join(sorted(self.model_names))
            raise TaskError(f'runtime = "{runtime}" is unknown; there are: {known}') from None

    def genesis_parameters(self) -> NDArray[np.int32]:
        """Read the genesis parameters: fixed point, value = integer · 2**-24.

        Raises:
            TaskError: The file is missing or its length is no multiple of four.
        """
        try:
            content = self.genesis_file.read_bytes()
        except OSError as error:
            raise TaskError(f"cannot read {self.genesis_file}: {error.strerror}") from error
        if not content or len(content) % 4:
            raise TaskError(f"{self.genesis_file} has {len(content)} bytes, no multiple of 4")
        return np.frombuffer(content, "<i4").astype(np.int32)
