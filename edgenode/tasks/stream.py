"""The records in which sensor samples travel: from the sample store to a task's windowing.

A *stream* is an unbroken connection to one sensor (or one recording of a data set). Its samples
are numbered from 0 without holes by the sensor; a lost notification leaves a gap in the indices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Three axes of acceleration, then three of angular rate.
CHANNELS = 6

# A sensor's int16 reaches 8 g and 32 rad/s (1,833 degrees per second): above the largest readings
# of the recordings (5.9 g and 29.0 rad/s), so nothing real is clipped.
COUNTS_PER_G = 4096
COUNTS_PER_RADIAN_PER_SECOND = 1024
SAMPLES_PER_SECOND = 50

# 0 says that no exercise is being done; 1..7 are the exercises of the recordings.
NO_EXERCISE = 0
EXERCISES = 7


@dataclass(frozen=True, slots=True, eq=False)
class SampleBlock:
    """Consecutive samples of one stream.

    Attributes:
        stream: Number of the stream, not negative.
        first: Index in the stream of the block's first sample, not negative.
        values: int16 array of shape (k, 6), k >= 1: acceleration in counts of 1/4096 g, then
            angular rate in counts of 1/1024 rad/s.
    """

    stream: int
    first: int
    values: NDArray[np.int16]

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: A number is negative, or `values` is not int16 of shape (k, 6) with k >= 1.
        """
        if self.stream < 0 or self.first < 0:
            raise ValueError(
                f"stream {self.stream} and first {self.first} of a SampleBlock must not be negative"
            )
        shape = self.values.shape
        if self.values.dtype != np.int16 or len(shape) != 2 or shape[1] != CHANNELS or not shape[0]:
            raise ValueError(
                f"values of a SampleBlock must be int16 of shape (k, {CHANNELS}) with k >= 1, "
                f"not {self.values.dtype} of shape {shape}"
            )

    @property
    def end(self) -> int:
        """Index in the stream of the sample after the block's last one."""
        return self.first + len(self.values)


@dataclass(frozen=True, slots=True)
class Annotation:
    """From sample `first` of the stream on, until the next annotation, `code` is being done.

    Attributes:
        stream: Number of the stream, not negative.
        first: Index in the stream of the first sample that the annotation covers, not negative.
        code: 0 for no exercise, 1..7 for an exercise.
    """

    stream: int
    first: int
    code: int

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: A number is negative or `code` is not in 0..7.
        """
        if self.stream < 0 or self.first < 0:
            raise ValueError(
                f"stream {self.stream} and first {self.first} of an Annotation must not be negative"
            )
        if not NO_EXERCISE <= self.code <= EXERCISES:
            raise ValueError(f"code {self.code} of an Annotation is not in 0..{EXERCISES}")
