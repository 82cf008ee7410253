"""The reservoir keeps a bounded, balanced and reproducible sample of what came."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.training.held_out import EVERY, LENGTHS_PER_SEGMENT, Memory, Part, part_of
from edgenode.training.reservoir import Reservoir

CLASSES = 3


def reservoir(capacity=10, seed=1):
    return Reservoir(capacity, (2,), CLASSES, seed)


def example(number):
    return np.array([number, -number], np.float32)


def filled(labels, capacity=10, seed=1):
    memory = reservoir(capacity, seed)
    for number, label in enumerate(labels):
        memory.add(example(number), label)
    return memory


labels = st.lists(st.integers(0, CLASSES - 1), max_size=200)


@given(labels, st.integers(CLASSES, 20))
def test_it_never_exceeds_its_capacity_and_each_example_keeps_its_label(sequence, capacity):
    memory = filled(sequence, capacity)
    assert len(memory) == min(len(sequence), capacity)
    assert memory.seen == len(sequence)
    content = memory.content()
    numbers = content.x[:, 0].astype(int)
    assert len(set(numbers)) == len(numbers)
    assert all(sequence[number] == label for number, label in zip(numbers, content.y, strict=True))
    assert memory.per_class == tuple(int((content.y == c).sum()) for c in range(CLASSES))


@given(labels, st.integers(CLASSES, 20))
def test_a_rare_class_keeps_all_its_examples_while_it_has_less_than_its_share(sequence, capacity):
    memory = filled(sequence, capacity)
    for label, held in enumerate(memory.per_class):
        assert held >= min(sequence.count(label), capacity // CLASSES)


def test_a_class_that_came_long_ago_is_not_forgotten():
    memory = filled([0] * 20 + [1] * 2000 + [2] * 2000, capacity=30)
    assert memory.per_class == (10, 10, 10)


def test_what_is_kept_of_a_class_is_spread_over_all_that_it_saw():
    kept = []
    for seed in range(40):
        memory = filled([0] * 1000, capacity=50, seed=seed)
        kept.extend(memory.content().x[:, 0])
    # The mean of 2,000 numbers uniform in 0..999 lies within 5 standard errors of 499.5.
    assert abs(np.mean(kept) - 499.5) < 5 * 288.7 / np.sqrt(2000)


def test_the_same_additions_with_the_same_seed_give_the_same_content_and_batches():
    sequence = list(np.random.default_rng(3).integers(0, CLASSES, 500))
    one, other = filled(sequence, seed=7), filled(sequence, seed=7)
    assert np.array_equal(one.content().x, other.content().x)
    for (_, a), (_, b), _ in zip(one.batches(4), other.batches(4), range(10), strict=False):
        assert np.array_equal(a.x, b.x)
    assert not np.array_equal(one.content().x, filled(sequence, seed=8).content().x)


def test_an_epoch_meets_every_example_once_and_its_last_batch_may_be_smaller():
    memory = filled([0, 1, 2] * 3, capacity=20)
    sizes, seen = [], []
    for (_, batch), _ in zip(memory.batches(4), range(3), strict=False):
        sizes.append(len(batch))
        seen.extend(batch.x[:, 0])
    assert sizes == [4, 4, 1]
    assert sorted(seen) == list(range(9))


def test_batches_are_copies():
    memory = filled([0, 1, 2])
    _, batch = next(memory.batches(3))
    batch.x[:] = 99
    assert memory.content().x.max() == 2


def test_an_empty_reservoir_has_no_batches():
    assert list(reservoir().batches(4)) == []


@pytest.mark.parametrize(
    ("x", "label"),
    [
        (np.zeros(3, np.float32), 0),
        (np.array([0, np.nan], np.float32), 0),
        (np.array([0, np.inf], np.float32), 0),
        (np.zeros(2, np.float32), CLASSES),
        (np.zeros(2, np.float32), -1),
    ],
)
def test_an_example_that_does_not_fit_is_refused_and_changes_nothing(x, label):
    memory = filled([0, 1])
    with pytest.raises(ValueError, match="is not"):
        memory.add(x, label)
    assert memory.seen == len(memory) == 2


def test_a_capacity_below_one_place_for_each_class_is_refused():
    with pytest.raises(ValueError, match="less than the 3 classes"):
        reservoir(capacity=2)


LENGTH, HOP = 8, 2
SEGMENT = LENGTHS_PER_SEGMENT * LENGTH


def parts(stream, samples):
    firsts = range(0, samples - LENGTH + 1, HOP)
    return {first: part_of(stream, first, LENGTH) for first in firsts}


@pytest.mark.parametrize("stream", range(10))
def test_no_sample_of_a_held_out_window_is_ever_trained_on(stream):
    used = {part: set() for part in Part}
    for first, part in parts(stream, 40 * SEGMENT).items():
        used[part].update(range(first, first + LENGTH))
    assert used[Part.HELD_OUT]
    assert not used[Part.HELD_OUT] & used[Part.TRAINING]


def test_about_one_window_in_twelve_is_held_out_and_few_are_lost():
    found = list(parts(0, 40 * SEGMENT).values())
    share = {part: found.count(part) / len(found) for part in Part}
    assert 0.06 < share[Part.HELD_OUT] < 1 / EVERY
    assert share[Part.NEITHER] < 0.1


def test_memory_trains_only_on_what_is_for_training():
    memory = Memory.of(1000, (2,), CLASSES, seed=1)
    given_to = {
        first: memory.add(example(first), first % CLASSES, 0, first, LENGTH)
        for first in range(0, 20 * SEGMENT, HOP)
    }
    for part, held in ((Part.TRAINING, memory.training), (Part.HELD_OUT, memory.held_out)):
        expected = [first for first, given in given_to.items() if given is part]
        assert sorted(held.content().x[:, 0]) == expected
