"""Recordings as a box meets them: its patients in turn, on one sensor's stream."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from datasets.recordings import Series
from edgenode.tasks.activity.windows import Window, WindowCutter
from edgenode.tasks.stream import Annotation, SampleBlock

# Samples lost between two recordings: the patient changes.
PAUSE = 50


def in_turns(recordings: Sequence[Series], people: Sequence[int]) -> list[Series]:
    """The recordings of these people, one of each in turn."""
    each = [[series for series in recordings if series.person == person] for person in people]
    return [series for turn in zip_longest(*each) for series in turn if series is not None]


def windows_of(recordings: Sequence[Series], stream: int) -> Iterator[Window]:
    """One sensor's stream: a recording after the other, with a pause between them."""
    cutter = WindowCutter()
    first = 0
    for series in recordings:
        cutter.annotate(Annotation(stream, first, series.exercise))
        yield from cutter.feed(SampleBlock(stream, first, series.values))
        first += len(series.values) + PAUSE
