"""The committed model files are what a stock runtime can run, the same each time."""

import numpy as np
import pytest
from flatbuffer import CUSTOM, operators

from edgenode.tasks.registry import TASKS, find_task
from edgenode.training.interpreter import load_graph

FORMS = ["model.tflite", "model-matmul.tflite"]
CONV_2D, TRANSPOSE_CONV, FULLY_CONNECTED, SIGN = 3, 67, 9, 158


@pytest.mark.parametrize("name", sorted(TASKS))
@pytest.mark.parametrize("form", FORMS)
def test_a_model_file_holds_builtin_operators_only(name, form):
    found = operators((find_task(name).folder / form).read_bytes())
    assert len(found) > 10
    assert all(builtin != CUSTOM and custom is None for builtin, custom in found), found
    # What the graphs are known to contain: the parser reads operators, not noise.
    codes = {builtin for builtin, _ in found}
    assert {FULLY_CONNECTED, SIGN} <= codes
    assert ({CONV_2D, TRANSPOSE_CONV} <= codes) == (form == "model.tflite")


@pytest.mark.parametrize("name", sorted(TASKS))
@pytest.mark.parametrize("form", FORMS)
def test_the_file_the_task_and_the_genesis_parameters_fit_each_other(name, form):
    task = find_task(name)
    graph = load_graph(task.folder / form)
    assert graph.parameter_count == len(task.genesis_parameters())
    assert graph.input_shape == task.input_shape
    assert graph.classes == task.classes


def steps(graph, task, count):
    random = np.random.default_rng(11)
    parameters = (task.genesis_parameters() * 2.0**-24).astype(np.float32)
    momentum = np.zeros_like(parameters)
    for _ in range(count):
        x = random.uniform(-1, 1, (graph.batch, *graph.input_shape)).astype(np.float32)
        y = random.integers(0, graph.classes, graph.batch).astype(np.int32)
        step = graph.train(parameters, momentum, x, y, learning_rate=0.01, momentum_factor=0.9)
        parameters, momentum = step.parameters, step.momentum
    return parameters


@pytest.mark.parametrize("name", sorted(TASKS))
@pytest.mark.parametrize("runtime", ["tflite", "litert"])
def test_training_repeats_bit_for_bit_on_one_machine(name, runtime):
    task = find_task(name)
    file = task.model_file(runtime)
    first = steps(load_graph(file, runtime), task, 4)
    second = steps(load_graph(file, runtime), task, 4)
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("name", sorted(TASKS))
@pytest.mark.parametrize("form", FORMS)
def test_litert_and_tflite_runtime_agree_on_the_same_file(name, form):
    task = find_task(name)
    file = task.folder / form
    one, other = (steps(load_graph(file, runtime), task, 3) for runtime in ("tflite", "litert"))
    assert np.abs(one - other).max() < 1e-5


@pytest.mark.parametrize("name", sorted(TASKS))
def test_both_forms_of_a_model_agree(name):
    task = find_task(name)
    one, other = (steps(load_graph(task.folder / form), task, 3) for form in FORMS)
    assert np.abs(one - other).max() < 1e-5
