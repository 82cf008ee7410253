"""Each task comes with its files, and they fit each other."""

import numpy as np
import pytest

from edgenode.tasks.metrics import accuracy
from edgenode.tasks.registry import TASKS, find_task
from edgenode.tasks.task import TaskError


@pytest.mark.parametrize("name", ["activity", "cifar10"])
def test_a_task_has_a_model_for_each_runtime_and_genesis_parameters(name):
    task = find_task(name)
    assert task.name == name
    assert task.model_file("tflite").is_file()
    assert task.model_file("litert").is_file()
    parameters = task.genesis_parameters()
    assert parameters.dtype == np.int32
    assert 0 < np.abs(parameters).max() < 2 << 24


def test_the_papers_network_has_the_papers_number_of_parameters():
    assert len(find_task("cifar10").genesis_parameters()) == 122_570


def test_an_unknown_task_is_refused_with_the_names_of_those_there_are():
    with pytest.raises(TaskError, match=r"activity, cifar10"):
        find_task("mnist")
    assert set(TASKS) == {"activity", "cifar10"}


def test_accuracy_counts_right_answers_in_all_and_by_class():
    logits = np.array([[2, 1, 0], [0, 3, 1], [5, 0, 0], [0, 0, 1]], np.float32)
    result = accuracy(logits, np.array([0, 1, 1, 2], np.int32))
    assert result.overall == 0.75
    assert result.per_class == (1.0, 0.5, 1.0)


def test_accuracy_of_nothing_is_none_not_a_number():
    result = accuracy(np.empty((0, 3), np.float32), np.empty(0, np.int32))
    assert result.overall is None
    assert result.per_class == (None, None, None)


def test_labels_out_of_range_or_of_another_length_are_refused():
    with pytest.raises(ValueError, match="not in 0"):
        accuracy(np.zeros((1, 3), np.float32), np.array([3], np.int32))
    with pytest.raises(ValueError, match="shape"):
        accuracy(np.zeros((2, 3), np.float32), np.array([1], np.int32))
