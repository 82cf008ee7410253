"""Windows are cut as samples arrive, and never put together from what does not belong together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.tasks.activity.windows import LENGTH, SCALE, WindowCutter, normalise
from edgenode.tasks.stream import Annotation, SampleBlock

N, HOP = 8, 3


def samples(first, count):
    """Samples that tell their index: sample i is (i, i+1, ..., i+5)."""
    return (np.arange(first, first + count)[:, None] + np.arange(6)).astype(np.int16)


def block(stream, first, count):
    return SampleBlock(stream, first, samples(first, count))


def is_whole(window):
    return np.array_equal(window.x, normalise(samples(window.first, len(window.x))))


def fed(cutter, *events):
    windows = []
    for event in events:
        if isinstance(event, Annotation):
            cutter.annotate(event)
        else:
            windows += cutter.feed(event)
    return windows


def test_windows_are_cut_at_every_hop_and_carry_the_samples_from_their_first():
    windows = fed(WindowCutter(N, HOP), Annotation(5, 0, 3), block(5, 0, 20))
    assert [w.first for w in windows] == [0, 3, 6, 9, 12]
    assert all(w.label == 2 and w.stream == 5 and is_whole(w) for w in windows)


def test_the_default_window_has_the_shape_that_the_model_expects():
    windows = fed(WindowCutter(), Annotation(0, 0, 7), block(0, 0, LENGTH))
    assert windows[0].x.shape == (LENGTH, 6)
    assert windows[0].x.dtype == np.float32
    assert windows[0].label == 6


def test_samples_without_an_exercise_give_no_window():
    assert not fed(WindowCutter(N, HOP), block(0, 0, 50))
    assert not fed(WindowCutter(N, HOP), Annotation(0, 0, 0), block(0, 0, 50))


def test_a_window_does_not_bridge_a_gap():
    windows = fed(WindowCutter(N, HOP), Annotation(0, 0, 1), block(0, 0, 10), block(0, 11, 10))
    assert [w.first for w in windows] == [0, 11]


def test_a_window_does_not_bridge_two_streams_that_interleave():
    cutter = WindowCutter(N, HOP)
    windows = fed(
        cutter,
        Annotation(1, 0, 1),
        Annotation(2, 0, 2),
        block(1, 0, 5),
        block(2, 0, 5),
        block(1, 5, 5),
        block(2, 5, 5),
    )
    assert [(w.stream, w.first, w.label) for w in windows] == [(1, 0, 0), (2, 0, 1)]
    assert all(is_whole(w) for w in windows)


def test_a_window_does_not_bridge_a_change_of_exercise_within_a_block():
    windows = fed(WindowCutter(N, HOP), Annotation(0, 0, 1), Annotation(0, 10, 2), block(0, 0, 20))
    assert [(w.first, w.label) for w in windows] == [(0, 0), (10, 1)]


def test_an_exercise_announced_again_is_no_change():
    windows = fed(WindowCutter(N, HOP), Annotation(0, 0, 1), Annotation(0, 5, 1), block(0, 0, 11))
    assert [w.first for w in windows] == [0, 3]


def test_an_annotation_whose_first_sample_was_lost_still_counts():
    cutter = WindowCutter(N, HOP)
    windows = fed(cutter, Annotation(0, 0, 1), Annotation(0, 9, 2), block(0, 0, 8), block(0, 12, 8))
    assert [(w.first, w.label) for w in windows] == [(0, 0), (12, 1)]


def test_a_late_annotation_holds_for_samples_that_are_not_yet_in_a_window():
    cutter = WindowCutter(N, HOP)
    windows = fed(cutter, Annotation(0, 0, 1), block(0, 0, 7), Annotation(0, 5, 2), block(0, 7, 6))
    assert [(w.first, w.label) for w in windows] == [(5, 1)]
    assert is_whole(windows[0])


def test_samples_that_come_again_are_refused_and_change_nothing():
    cutter = WindowCutter(N, HOP)
    fed(cutter, Annotation(0, 0, 1), block(0, 0, 7))
    with pytest.raises(ValueError, match="stream 0 come after"):
        cutter.feed(block(0, 6, 5))
    assert [w.first for w in cutter.feed(block(0, 7, 1))] == [0]


def test_annotations_without_samples_are_bounded():
    cutter = WindowCutter(N, HOP)
    for first in range(1, 257):
        cutter.annotate(Annotation(0, first, 1))
    with pytest.raises(ValueError, match="annotations wait"):
        cutter.annotate(Annotation(0, 257, 1))


def test_streams_without_end_do_not_fill_the_memory():
    cutter = WindowCutter(N, HOP)
    for stream in range(500):
        fed(cutter, Annotation(stream, 0, 1), block(stream, 0, 4))
    assert len(cutter._runs) <= 64


def test_normalised_samples_are_of_the_order_of_one():
    counts = np.array([[4096, 4096, 4096, 1024, 1024, 1024]], np.int16)
    assert np.allclose(normalise(counts), counts * SCALE)
    assert np.abs(normalise(counts)).max() < 4


@st.composite
def histories(draw):
    """Sensor histories: what was lost, what was done when, how the rest was cut into blocks."""
    length = draw(st.integers(1, 120))
    lost = draw(st.sets(st.integers(0, length - 1), max_size=6))
    changes = draw(st.dictionaries(st.integers(0, length - 1), st.integers(0, 7), max_size=5))
    cuts = draw(st.sets(st.integers(0, length - 1), max_size=20))
    blocks, at = [], 0
    while at < length:
        if at in lost:
            at += 1
            continue
        end = at + 1
        while end < length and end not in lost and end not in cuts:
            end += 1
        blocks.append((at, end))
        at = end
    return length, lost, changes, blocks


def labels_by_sample(length, changes):
    codes, code = [], 0
    for index in range(length):
        code = changes.get(index, code)
        codes.append(code)
    return codes


@given(histories(), st.integers(1, 12), st.data())
def test_windows_are_those_of_the_unbroken_runs_however_samples_are_blocked(history, size, data):
    length, lost, changes, blocks = history
    hop = data.draw(st.integers(1, size))
    codes = labels_by_sample(length, changes)
    expected, start = [], 0
    for end in range(1, length + 1):
        broken = end == length or end in lost or codes[end] != codes[end - 1]
        if broken or end - 1 in lost:
            if start not in lost and codes[start]:
                expected += [(i, codes[start] - 1) for i in range(start, end - size + 1, hop)]
            start = end
    cutter = WindowCutter(size, hop)
    for first, code in sorted(changes.items()):
        cutter.annotate(Annotation(9, first, code))
    windows = [w for first, end in blocks for w in cutter.feed(block(9, first, end - first))]
    assert [(w.first, w.label) for w in windows] == expected
    assert all(is_whole(w) for w in windows)
