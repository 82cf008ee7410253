"""Records of samples refuse what cannot be."""

import numpy as np
import pytest

from edgenode.tasks.stream import Annotation, SampleBlock


def test_a_block_knows_where_it_ends():
    assert SampleBlock(1, 10, np.zeros((5, 6), np.int16)).end == 15


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((0, 6), np.int16),
        np.zeros((5, 5), np.int16),
        np.zeros(6, np.int16),
        np.zeros((5, 6), np.float32),
    ],
)
def test_a_block_of_another_type_or_shape_is_refused(values):
    with pytest.raises(ValueError, match="int16 of shape"):
        SampleBlock(0, 0, values)


def test_negative_numbers_are_refused():
    with pytest.raises(ValueError, match="negative"):
        SampleBlock(-1, 0, np.zeros((5, 6), np.int16))
    with pytest.raises(ValueError, match="negative"):
        SampleBlock(0, -1, np.zeros((5, 6), np.int16))
    with pytest.raises(ValueError, match="negative"):
        Annotation(0, -1, 1)


@pytest.mark.parametrize("code", [-1, 8])
def test_an_unknown_exercise_is_refused(code):
    with pytest.raises(ValueError, match="not in 0"):
        Annotation(0, 0, code)
