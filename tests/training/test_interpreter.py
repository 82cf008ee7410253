"""What cannot be loaded or trained on is refused in words."""

import sys

import numpy as np
import pytest

from edgenode.tasks.registry import find_task
from edgenode.training.graph import GraphError
from edgenode.training.interpreter import InterpreterGraph, load_graph

TASK = find_task("activity")
FILE = TASK.model_file("tflite")


@pytest.fixture(scope="module")
def graph():
    return load_graph(FILE)


@pytest.fixture
def arguments(graph):
    vector = np.zeros(graph.parameter_count, np.float32)
    return {
        "parameters": vector,
        "momentum": vector,
        "x": np.zeros((3, *graph.input_shape), np.float32),
        "y": np.zeros(3, np.int32),
        "learning_rate": 0.1,
        "momentum_factor": 0.9,
    }


def test_an_unknown_runtime_is_named():
    with pytest.raises(GraphError, match='"torch" is unknown'):
        load_graph(FILE, "torch")


@pytest.mark.parametrize(
    ("runtime", "module", "remedy"),
    [
        ("tflite", "tflite_runtime.interpreter", "pip install 'tflite-runtime==2.14.0'"),
        (
            "litert",
            "ai_edge_litert.interpreter",
            r"from the checkout: \.venv/bin/pip install -e '\.\[litert\]'",
        ),
    ],
)
def test_a_runtime_that_is_not_installed_says_how_to_get_it(monkeypatch, runtime, module, remedy):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(GraphError, match=remedy):
        load_graph(FILE, runtime)


@pytest.mark.parametrize("threads", [0, -1, 10_000])
def test_an_impossible_number_of_threads_is_refused(threads):
    with pytest.raises(GraphError, match="threads"):
        load_graph(FILE, threads=threads)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(GraphError, match=r"none\.tflite"):
        load_graph(tmp_path / "none.tflite")


@pytest.mark.parametrize("runtime", ["tflite", "litert"])
@pytest.mark.parametrize("content", [b"", b"text", b"\x00" * 100, b"\x1c\0\0\0XXXX" + b"\0" * 99])
def test_a_file_that_is_no_model_is_refused(tmp_path, runtime, content):
    path = tmp_path / "other.tflite"
    path.write_bytes(content)
    with pytest.raises(GraphError, match=r"other\.tflite"):
        load_graph(path, runtime)


class OtherModel:
    """An interpreter of a valid file with other signatures."""

    def __init__(self, model_content, num_threads):
        pass

    def get_signature_list(self):
        return {"serving_default": {"inputs": ["x"], "outputs": ["y"]}}


def test_a_model_without_the_signatures_is_refused_with_those_it_has():
    with pytest.raises(GraphError, match="serving_default"):
        InterpreterGraph(OtherModel, b"\x1c\0\0\0TFL3", "other.tflite", 1)


@pytest.mark.parametrize(
    ("name", "wrong", "said"),
    [
        ("parameters", np.zeros(5, np.float32), "parameters must be float32"),
        (
            "parameters",
            np.zeros(len(TASK.genesis_parameters()), np.float64),
            "parameters must be float32",
        ),
        ("momentum", np.zeros((2, 2), np.float32), "momentum must be float32"),
        ("x", np.zeros((3, 5), np.float32), "x must be float32"),
        ("x", np.zeros((0, *TASK.input_shape), np.float32), "k >= 1"),
        ("x", np.zeros((3, *TASK.input_shape), np.float64), "x must be float32"),
        ("x", np.zeros((1000, *TASK.input_shape), np.float32), "do not fit a batch"),
        ("y", np.zeros(2, np.int32), "y must be int32"),
        ("y", np.zeros(3, np.int64), "y must be int32"),
        ("y", np.array([0, 7, 0], np.int32), "label is not in"),
        ("y", np.array([0, -1, 0], np.int32), "label is not in"),
        ("weights", np.array([1, -1, 1], np.float32), "weights must be"),
        ("weights", np.array([1, np.nan, 1], np.float32), "weights must be"),
        ("weights", np.ones(4, np.float32), "weights must be"),
        ("learning_rate", -0.1, "out of range"),
        ("learning_rate", float("nan"), "out of range"),
        ("momentum_factor", 1.5, "out of range"),
    ],
)
def test_an_argument_of_another_type_shape_or_range_is_refused(graph, arguments, name, wrong, said):
    with pytest.raises(GraphError, match=said):
        graph.train(**(arguments | {name: wrong}))


def test_arguments_and_results_are_not_shared(graph, arguments):
    step = graph.train(**arguments)
    before = step.parameters.copy()
    assert not arguments["parameters"].any()
    graph.train(**(arguments | {"parameters": np.ones(graph.parameter_count, np.float32)}))
    assert np.array_equal(step.parameters, before)
