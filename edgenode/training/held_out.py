"""Which examples a node trains on, and which it sets apart to measure its own accuracy.

Windows overlap, so that a window beside a training window is nearly a training window. Hence not
every k-th window is set apart but every k-th *segment* of a stream, and a window that lies across
the border of a segment set apart is used for neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from edgenode.training.graph import Floats
from edgenode.training.reservoir import Reservoir

# One segment in eight is set apart. Of a stream's windows 8 % are then held out, and 9 % are lost
# at the borders.
EVERY = 8
# A segment is as long as two examples: 10 s for a window of 5 s, so that a few minutes of a stream
# already show several exercises held out. Longer ones would lose less, and show fewer.
LENGTHS_PER_SEGMENT = 2


class Part(Enum):
    """What an example is for."""

    TRAINING = "training"
    HELD_OUT = "held out"
    NEITHER = "neither"


def part_of(stream: int, first: int, length: int) -> Part:
    """Say what the example that covers samples first..first+length-1 of a stream is for.

    The stream's number shifts the segments set apart, so that many short streams contribute too.
    """
    segment = LENGTHS_PER_SEGMENT * length

    def held_out(index: int) -> bool:
        return (index // segment + stream) % EVERY == EVERY - 1

    begins, ends = held_out(first), held_out(first + length - 1)
    if begins != ends:
        return Part.NEITHER
    return Part.HELD_OUT if begins else Part.TRAINING


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What a node remembers of its examples.

    Attributes:
        training: Examples to train on.
        held_out: Examples never trained on.
    """

    training: Reservoir
    held_out: Reservoir

    @classmethod
    def of(cls, capacity: int, input_shape: tuple[int, ...], classes: int, seed: int) -> Memory:
        """Make room for `capacity` training examples and a quarter as many held out."""
        return cls(
            Reservoir(capacity, input_shape, classes, seed),
            Reservoir(max(capacity // 4, classes), input_shape, classes, seed + 1),
        )

    def add(self, x: Floats, label: int, stream: int, first: int, length: int) -> Part:
        """Take one example and say what it became.

        Args:
            x: float32 (*input_shape).
            label: 0..classes-1.
            stream: The stream that it comes from.
            first: Index in the stream of its first sample.
            length: Samples that it covers.

        Raises:
            ValueError: The example has another shape or is not finite, or there is no such class.
        """
        part = part_of(stream, first, length)
        if part is Part.TRAINING:
            self.training.add(x, label)
        elif part is Part.HELD_OUT:
            self.held_out.add(x, label)
        return part
