"""A local round trains on the reservoir, and stops at a step boundary when told to."""

import dataclasses
import math

import numpy as np
import pytest

from edgenode.tasks.registry import find_task
from edgenode.tasks.task import Schedule
from edgenode.training.interpreter import load_graph
from edgenode.training.local import DivergedError, evaluate, train_round
from edgenode.training.reservoir import Reservoir

TASK = find_task("activity")
SCHEDULE = Schedule(steps=12, learning_rate=0.02, momentum_factor=0.9)


@pytest.fixture(scope="module")
def graph():
    return load_graph(TASK.model_file("tflite"))


@pytest.fixture(scope="module")
def genesis():
    return (TASK.genesis_parameters() * 2.0**-24).astype(np.float32)


def waves(count, seed=1):
    """A reservoir of sines whose frequency tells the class."""
    memory = Reservoir(512, TASK.input_shape, TASK.classes, seed)
    random = np.random.default_rng(seed)
    time = np.arange(TASK.input_shape[0]) / 50
    for n in range(count):
        label = n % TASK.classes
        phase = random.uniform(0, 2 * np.pi, 6)
        wave = np.sin(2 * np.pi * (0.3 + 0.7 * label) * time[:, None] + phase)
        memory.add(wave.astype(np.float32), label)
    return memory


def run(graph, genesis, memory, **options):
    options = {"random": np.random.default_rng(5), "schedule": SCHEDULE} | options
    schedule = options.pop("schedule")
    return train_round(graph, genesis, memory, schedule, **options)


def test_loss_falls_and_accuracy_rises_over_rounds(graph, genesis):
    memory = waves(140)
    first = run(graph, genesis, memory)
    parameters = first.parameters
    for _ in range(9):
        last = run(graph, parameters, memory)
        parameters = last.parameters
    assert last.loss < 0.5 * first.loss
    before = evaluate(graph, genesis, memory.content()).overall
    assert evaluate(graph, parameters, memory.content()).overall > max(0.6, before)


def test_the_count_is_of_distinct_examples_not_of_steps(graph, genesis):
    many = run(graph, genesis, waves(1000), schedule=dataclasses.replace(SCHEDULE, steps=3))
    assert (many.steps, many.examples) == (3, 3 * graph.batch)
    few = run(graph, genesis, waves(10))
    assert (few.steps, few.examples) == (SCHEDULE.steps, 10)


def test_the_given_parameters_are_left_as_they_were(graph, genesis):
    before = genesis.copy()
    result = run(graph, genesis, waves(20))
    assert np.array_equal(genesis, before)
    assert not np.array_equal(result.parameters, before)


def test_a_round_repeats_bit_for_bit_from_the_same_seed(graph, genesis):
    one, other = (run(graph, genesis, waves(100, seed=9)) for _ in range(2))
    assert one.parameters.tobytes() == other.parameters.tobytes()
    assert one.loss == other.loss


def test_a_new_head_ends_the_round_before_the_next_step(graph, genesis):
    asked = []

    def head_changed():
        asked.append(True)
        return len(asked) > 4

    result = run(graph, genesis, waves(100), should_stop=head_changed)
    assert (result.stopped, result.steps, len(asked)) == (True, 4, 5)
    assert np.isfinite(result.loss)


def test_a_round_told_to_stop_at_once_changes_nothing(graph, genesis):
    result = run(graph, genesis, waves(100), should_stop=lambda: True)
    assert (result.stopped, result.steps, result.examples) == (True, 0, 0)
    assert np.array_equal(result.parameters, genesis)
    assert math.isnan(result.loss)


def test_a_round_without_examples_has_no_steps(graph, genesis):
    result = run(graph, genesis, waves(0))
    assert (result.stopped, result.steps, result.examples) == (False, 0, 0)
    assert np.array_equal(result.parameters, genesis)


def test_parameters_that_diverge_are_dropped_with_an_error(graph, genesis):
    absurd = Schedule(steps=30, learning_rate=1e6, momentum_factor=0.9)
    with pytest.raises(DivergedError, match="learning rate 1000000"):
        run(graph, genesis, waves(50), schedule=absurd)


def test_the_augmentation_sees_every_batch_and_trains_on_what_it_returns(graph, genesis):
    seen = []

    def silence(x, random):
        seen.append((x.shape, random))
        return np.zeros_like(x)

    result = run(graph, genesis, waves(64), augment=silence)
    assert len(seen) == SCHEDULE.steps
    plain = run(graph, genesis, waves(64))
    assert not np.array_equal(result.parameters, plain.parameters)
