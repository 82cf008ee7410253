"""Windows: labelled training examples cut from streams of samples, as the samples arrive.

No I/O: blocks and annotations go in, windows come out. A window holds LENGTH consecutive samples
of one stream, all of one exercise. Where samples are missing, where the exercise changes and where
a stream ends, a window is never put together from both sides.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgenode.tasks.stream import (
    CHANNELS,
    COUNTS_PER_G,
    COUNTS_PER_RADIAN_PER_SECOND,
    NO_EXERCISE,
    Annotation,
    SampleBlock,
)

# 5.12 s: two repetitions of an exercise. Chosen by experiment (docs/training.md).
LENGTH = 256
HOP = 64

# Fixed, and the same on every node: about the spreads of the recordings, 0.7 g and 1.6 rad/s;
# never computed from what a node collects. One scale for the three axes of a kind, and no offset:
# a window of a turned sensor is then the turned window.
SCALE = np.array(
    [1 / (0.7 * COUNTS_PER_G)] * 3 + [1 / (1.6 * COUNTS_PER_RADIAN_PER_SECOND)] * 3, np.float32
)

# A node has a handful of sensors. The stream that was silent the longest is forgotten beyond this:
# a sensor that comes back opens a new stream.
_MAX_STREAMS = 64
# Annotations ahead of their samples: the sensor writes them within seconds of each other.
_MAX_PENDING = 256


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """One training example.

    Attributes:
        x: float32 (LENGTH, 6), normalised.
        label: 0..6, the exercise's code less one.
        stream: The stream that it was cut from.
        first: Index in the stream of its first sample.
    """

    x: NDArray[np.float32]
    label: int
    stream: int
    first: int


def normalise(values: NDArray[np.int16]) -> NDArray[np.float32]:
    """Turn sensor counts (..., 6) into the numbers that the model sees."""
    normalised: NDArray[np.float32] = values.astype(np.float32) * SCALE
    return normalised


@dataclass(slots=True)
class _Run:
    """The samples of one stream from which the next window may be cut."""

    next: int = 0
    code: int = NO_EXERCISE
    # Samples up to `next`, without a hole, all done under `code`; empty under NO_EXERCISE.
    values: NDArray[np.int16] = field(default_factory=lambda: np.empty((0, CHANNELS), np.int16))
    pending: list[Annotation] = field(default_factory=list)


class WindowCutter:
    """Cuts windows every HOP samples, for any number of interleaved streams.

    Within a stream, blocks must come in the order of their indices. An annotation should come
    before the samples that it covers. One that comes late holds for those of its samples that
    are not yet part of a window.
    """

    def __init__(self, length: int = LENGTH, hop: int = HOP) -> None:
        if not 1 <= hop <= length:
            raise ValueError(f"hop {hop} is not in 1..{length}")
        self._length = length
        self._hop = hop
        self._runs: OrderedDict[int, _Run] = OrderedDict()

    def annotate(self, annotation: Annotation) -> None:
        """Take note of the exercise that is done from an index on.

        Raises:
            ValueError: More annotations wait for their samples than a sensor would send.
        """
        run = self._run(annotation.stream)
        if annotation.first > run.next:
            if len(run.pending) >= _MAX_PENDING:
                raise ValueError(f"{_MAX_PENDING} annotations wait for samples of one stream")
            run.pending.append(annotation)
            run.pending.sort(key=lambda waiting: waiting.first)
        else:
            self._change(run, annotation)

    def feed(self, block: SampleBlock) -> list[Window]:
        """Take samples; return the windows that they complete, in order.

        Raises:
            ValueError: The block lies before or across samples that its stream already gave.
        """
        run = self._run(block.stream)
        if block.first < run.next:
            raise ValueError(
                f"samples {block.first}..{block.end - 1} of stream {block.stream} come after "
                f"sample {run.next - 1}"
            )
        windows: list[Window] = []
        if block.first > run.next:
            # Missing samples. Annotations that fell into the hole still count.
            run.values = run.values[:0]
            run.next = block.first
        at = block.first
        while at < block.end:
            self._apply_pending(run)
            end = min([block.end, *(waiting.first for waiting in run.pending)])
            windows += self._extend(
                run, block.stream, block.values[at - block.first : end - block.first]
            )
            at = end
        return windows

    def _run(self, stream: int) -> _Run:
        run = self._runs.setdefault(stream, _Run())
        self._runs.move_to_end(stream)
        if len(self._runs) > _MAX_STREAMS:
            self._runs.popitem(last=False)
        return run

    def _apply_pending(self, run: _Run) -> None:
        while run.pending and run.pending[0].first <= run.next:
            self._change(run, run.pending.pop(0))

    @staticmethod
    def _change(run: _Run, annotation: Annotation) -> None:
        if annotation.code == run.code:
            return
        # A late annotation covers the last samples of the buffer; those before it are of no use
        # any more, as no window can hold both.
        covered = max(0, run.next - annotation.first)
        kept = min(covered, len(run.values)) if annotation.code != NO_EXERCISE else 0
        run.values = run.values[len(run.values) - kept :]
        run.code = annotation.code

    def _extend(self, run: _Run, stream: int, values: NDArray[np.int16]) -> list[Window]:
        run.next += len(values)
        if run.code == NO_EXERCISE:
            return []
        buffer = np.concatenate([run.values, values])
        first = run.next - len(buffer)
        starts = range(0, len(buffer) - self._length + 1, self._hop)
        windows = [
            Window(
                normalise(buffer[start : start + self._length]), run.code - 1, stream, first + start
            )
            for start in starts
        ]
        run.values = buffer[len(starts) * self._hop :]
        return windows
