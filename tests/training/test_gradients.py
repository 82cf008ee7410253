"""Inside each runtime, a step's gradient is that of an independent reference in numpy."""

import numpy as np
import pytest
import reference

from edgenode.tasks.registry import find_task
from edgenode.training.interpreter import load_graph

TOLERANCE = 1e-6


@pytest.fixture(params=["tflite", "litert"], scope="module")
def runtime(request):
    return request.param


@pytest.fixture(params=["model.tflite", "model-matmul.tflite"], scope="module")
def form(request):
    return request.param


@pytest.fixture(params=["activity", "cifar10"], scope="module")
def task(request):
    return find_task(request.param)


@pytest.fixture(scope="module")
def graph(task, form, runtime):
    return load_graph(task.folder / form, runtime)


@pytest.fixture(scope="module")
def parameters(task):
    """Near genesis, with biases that are not zero.

    Three quarters of it: activations then stay of the order of 1, where the rounding of float32
    (6e-8 of each value) leaves room below the tolerance.
    """
    genesis = task.genesis_parameters() * 2.0**-24
    near = 0.75 * genesis + np.random.default_rng(0).normal(0, 0.01, len(genesis))
    return near.astype(np.float32)


def gradient(graph, parameters, x, y, weights=None):
    step = graph.train(
        parameters,
        np.zeros_like(parameters),
        x,
        y,
        learning_rate=0.5,
        momentum_factor=0.0,
        weights=weights,
    )
    # With momentum factor 0 the new momentum is the gradient.
    assert np.allclose(step.parameters, parameters - np.float32(0.5) * step.momentum, atol=1e-6)
    return step.loss, step.momentum


def examples(graph, count, seed):
    """Examples in the range of the real ones: pixels in -1..1, samples of spread 1."""
    random = np.random.default_rng(seed)
    shape = (count, *graph.input_shape)
    drawn = random.uniform(-1, 1, shape) if len(shape) == 4 else random.normal(0, 1, shape)
    x = drawn.astype(np.float32)
    return x, random.integers(0, graph.classes, count).astype(np.int32)


def assert_is_reference(task, graph, parameters, x, y, weights=None):
    loss, found = gradient(graph, parameters, x, y, weights)
    weights = np.ones(len(y)) if weights is None else weights
    true_loss, true = reference.loss_and_gradient(task.name, parameters, x, y, weights)
    assert abs(loss - true_loss) < TOLERANCE
    assert np.abs(found - true).max() < TOLERANCE
    # The tolerance means something only if gradients are much larger than it.
    assert np.abs(true).max() > 1e-2


def test_a_full_batch(task, graph, parameters):
    x, y = examples(graph, graph.batch, 1)
    assert_is_reference(task, graph, parameters, x, y)


def test_a_ragged_batch_counts_only_the_examples_that_are_there(task, graph, parameters):
    x, y = examples(graph, 5, 2)
    assert_is_reference(task, graph, parameters, x, y)


def test_examples_count_by_their_weights(task, graph, parameters):
    x, y = examples(graph, 8, 3)
    weights = np.array([1, 0, 0.25, 2, 0, 1, 1, 3], np.float32)
    assert_is_reference(task, graph, parameters, x, y, weights)


def test_weights_that_sum_to_less_than_one_are_not_scaled_up(task, graph, parameters):
    x, y = examples(graph, 4, 4)
    weights = np.full(4, 0.125, np.float32)
    assert_is_reference(task, graph, parameters, x, y, weights)


def test_ties_in_pooling_go_to_the_first_maximum(task, graph, parameters):
    # Filters of a few equal integers on pixels of few values: exact sums, and ties everywhere.
    random = np.random.default_rng(5)
    x = random.integers(-1, 2, (6, *graph.input_shape)).astype(np.float32)
    x[:, ::2] = x[:, 1::2]
    y = random.integers(0, graph.classes, 6).astype(np.int32)
    tied = parameters.copy()
    shapes = reference.SHAPES[task.name]
    first = int(np.prod(shapes[0])) + shapes[0][-1]
    tied[:first] = random.integers(-1, 2, first) * 0.125
    _, (tape, *_) = reference.forward(task.name, tied, x)
    activations, pool = tape[0][3], tape[0][4]
    in_windows = reference.windows(activations, *pool)
    top = in_windows.max(axis=-1, keepdims=True)
    shared = ((in_windows == top) & (top > 0)).sum(axis=-1) > 1
    assert shared.mean() > 0.02, "this test must meet ties among positive activations"
    assert_is_reference(task, graph, tied, x, y)


def test_momentum_accumulates_as_documented(task, graph, parameters):
    x, y = examples(graph, 8, 6)
    before = np.random.default_rng(7).normal(0, 1e-2, len(parameters)).astype(np.float32)
    step = graph.train(parameters, before, x, y, learning_rate=0.25, momentum_factor=0.5)
    _, true = reference.loss_and_gradient(task.name, parameters, x, y, np.ones(8))
    momentum = 0.5 * before + true
    assert np.abs(step.momentum - momentum).max() < TOLERANCE
    assert np.abs(step.parameters - (parameters - 0.25 * momentum)).max() < TOLERANCE


def test_inference_is_the_reference_for_any_number_of_examples(task, graph, parameters):
    x, _ = examples(graph, graph.batch + 3, 8)
    true, _ = reference.forward(task.name, parameters, x)
    assert np.abs(graph.infer(parameters, x) - true).max() < 1e-5
    assert graph.infer(parameters, x[:0]).shape == (0, graph.classes)
