"""A trainer's memory: what samples become, and how well a model does on what it never trains on."""

import tracemalloc

import numpy as np
import pytest

from edgenode.tasks.registry import find_task
from edgenode.tasks.stream import Annotation, SampleBlock
from edgenode.training.interpreter import load_graph
from edgenode.training.local import evaluate
from edgenode.training.online import OnlineTraining

TASK = find_task("activity")
GENESIS = (TASK.genesis_parameters() * 2.0**-24).astype(np.float32)


@pytest.fixture(scope="module")
def graph():
    return load_graph(TASK.model_file("tflite"))


def learned(graph, samples, capacity=4096):
    """Training over made-up samples of all exercises in turns."""
    online = OnlineTraining(TASK, graph, TASK.schedule, capacity, seed=1)
    source = np.random.default_rng(1)
    for n, first in enumerate(range(0, samples, 1024)):
        values = source.integers(-9000, 9000, (1024, 6)).astype(np.int16)
        online.take([Annotation(1, first, 1 + n % 7), SampleBlock(1, first, values)])
    return online


def test_without_held_out_windows_there_is_no_accuracy(graph):
    assert learned(graph, 0).accuracy(GENESIS) is None


def test_the_accuracy_is_that_of_all_held_out_windows(graph):
    online = learned(graph, 100_000)
    held_out = online._memory.held_out.content()
    assert len(held_out) > 2 * graph.batch
    assert online.accuracy(GENESIS) == evaluate(graph, GENESIS, held_out).overall


def test_measuring_the_accuracy_does_not_copy_the_held_out_windows(graph):
    online = learned(graph, 600_000)
    size = online._memory.held_out.content().x.nbytes
    assert size > 4 << 20
    online.accuracy(GENESIS)
    tracemalloc.start()
    online.accuracy(GENESIS)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < size / 4


def test_samples_that_do_not_fit_their_stream_are_left_out_and_counted(graph):
    online = learned(graph, 2048)
    windows = online.windows
    online.take([SampleBlock(1, 100, np.zeros((1024, 6), np.int16))])
    assert (online.disorder, online.windows) == (1, windows)
