"""The committed files are what the sources give, and train as TensorFlow itself would."""

import numpy as np
import pytest
import tensorflow as tf

from edgenode.training.interpreter import load_graph
from models.architectures import ARCHITECTURES
from models.build import TASKS, files
from models.genesis import genesis_parameters
from models.graph import convert
from models.layers import max_pool, relu
from models.plain import logits, split

TOLERANCE = 1e-6
NAMES = sorted(ARCHITECTURES)


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_files_are_bit_for_bit_what_a_rebuild_gives(name):
    for path, content in files(ARCHITECTURES[name]).items():
        assert path.read_bytes() == content, f"{path.name} of {name} is not what the sources give"


@pytest.mark.parametrize("name", NAMES)
def test_two_builds_in_one_process_are_identical(name):
    assert convert(ARCHITECTURES[name], "conv") == convert(ARCHITECTURES[name], "conv")


@pytest.mark.parametrize("name", NAMES)
def test_genesis_weights_are_spread_as_he_et_al_say_and_biases_are_zero(name):
    architecture = ARCHITECTURES[name]
    values = np.frombuffer(genesis_parameters(architecture), "<i4") * 2.0**-24
    at = 0
    for parameter in architecture.parameters:
        part = values[at : at + parameter.size]
        at += parameter.size
        if not parameter.fan_in:
            assert not part.any()
            continue
        bound = np.sqrt(6 / parameter.fan_in)
        assert np.abs(part).max() <= bound
        # The standard error of a uniform sample's standard deviation is below 0.45 / sqrt(n).
        expected = bound / np.sqrt(3)
        assert abs(part.std() - expected) < 5 * 0.45 * expected / np.sqrt(len(part))
    assert at == len(values)


def plain_gradient(architecture, flat, x, y, weights):
    arrays = split(architecture, flat)
    with tf.GradientTape() as tape:
        tape.watch(arrays)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            y, logits(architecture.name, arrays, x)
        )
        loss = tf.reduce_sum(weights * losses) / max(float(weights.sum()), 1.0)
    gradients = tape.gradient(loss, arrays)
    return float(loss), np.concatenate([np.ravel(gradient) for gradient in gradients])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["model.tflite", "model-matmul.tflite"])
@pytest.mark.parametrize("count", [32, 5])
def test_a_step_in_the_runtime_has_the_gradient_of_tensorflows_autodiff(name, form, count):
    architecture = ARCHITECTURES[name]
    random = np.random.default_rng(count)
    genesis = np.frombuffer(genesis_parameters(architecture), "<i4") * 2.0**-24
    flat = (0.75 * genesis + random.normal(0, 0.01, len(genesis))).astype(np.float32)
    x = random.uniform(-1, 1, (count, *architecture.input_shape)).astype(np.float32)
    y = random.integers(0, architecture.classes, count).astype(np.int32)
    weights = random.uniform(0, 2, count).astype(np.float32)
    step = load_graph(TASKS / name / form).train(
        flat, np.zeros_like(flat), x, y, learning_rate=1.0, momentum_factor=0.0, weights=weights
    )
    loss, gradient = plain_gradient(architecture, flat, x, y, weights)
    assert abs(step.loss - loss) < TOLERANCE
    assert np.abs(step.momentum - gradient).max() < TOLERANCE
    assert np.abs(gradient).max() > 1e-2


@pytest.mark.parametrize("rows", [True, False])
def test_pooling_gives_ties_to_the_winner_that_tensorflow_chooses(rows):
    random = np.random.default_rng(1)
    # Values 0, 1 and 2: nearly every window has a tie. Odd sides: the last ones are dropped.
    x = tf.constant(random.integers(0, 3, (4, 7, 9, 5)).astype(np.float32))
    upstream = tf.constant(random.normal(0, 1, (4, 3 if rows else 7, 4, 5)).astype(np.float32))
    window = [2 if rows else 1, 2]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ours = max_pool(x, rows=rows)
        theirs = tf.nn.max_pool2d(x, window, window, "VALID")
        ours_weighted = tf.reduce_sum(ours * upstream)
        theirs_weighted = tf.reduce_sum(theirs * upstream)
    assert np.array_equal(ours, theirs)
    assert np.array_equal(tape.gradient(ours_weighted, x), tape.gradient(theirs_weighted, x))


def test_pooling_before_relu_has_the_values_and_gradients_of_the_papers_order():
    random = np.random.default_rng(2)
    x = tf.constant(random.integers(-2, 3, (4, 6, 6, 5)).astype(np.float32))
    upstream = tf.constant(random.normal(0, 1, (4, 3, 3, 5)).astype(np.float32))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        ours = relu(max_pool(x, rows=True))
        theirs = tf.nn.max_pool2d(tf.nn.relu(x), 2, 2, "VALID")
        ours_weighted = tf.reduce_sum(ours * upstream)
        theirs_weighted = tf.reduce_sum(theirs * upstream)
    assert np.array_equal(ours, theirs)
    assert np.array_equal(tape.gradient(ours_weighted, x), tape.gradient(theirs_weighted, x))
