"""A pickle of numbers is read; a pickle that asks for anything else is refused."""

import _codecs
import contextlib
import io
import os
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.unpickle import UnsafePickleError, load_arrays


def pickled(value, protocol=2):
    return pickle.dumps(value, protocol=protocol)


@pytest.mark.parametrize("protocol", [0, 1, 2])
@pytest.mark.parametrize("dtype", ["u1", "i2", "<i8", ">f4", "f8", "?"])
def test_arrays_of_numbers_are_read_as_written(protocol, dtype):
    array = np.arange(12).reshape(3, 4).astype(dtype)
    read = load_arrays(pickled({"x": array, "names": ["a", "b"]}, protocol))
    assert np.array_equal(read["x"], array)
    assert read["x"].dtype == array.dtype
    assert read["names"] == ["a", "b"]


def test_the_fortran_order_of_an_array_is_kept():
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert np.array_equal(load_arrays(pickled({"x": array}))["x"], array)


def test_a_dict_in_the_box_that_numpy_save_makes_is_read():
    box = io.BytesIO()
    np.save(box, np.array({"x": [np.ones(3)]}, dtype=object))
    data = box.getvalue()
    start = 10 + int.from_bytes(data[8:10], "little")
    # numpy.save writes protocol 3 today and wrote 2 when the recordings were saved.
    content = pickle.loads(data[start:])
    assert np.array_equal(load_arrays(pickled(content))["x"][0], np.ones(3))


class Command:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_calls_a_function_is_refused_and_calls_nothing(tmp_path, protocol):
    path = tmp_path / "made"
    with pytest.raises(UnsafePickleError):
        load_arrays(pickled({"x": Command(str(path))}, protocol))
    assert not path.exists()


@pytest.mark.parametrize("name", ["builtins\neval", "numpy\nload", "numpy.core.multiarray\nscalar"])
def test_any_other_global_is_refused_by_name(name):
    with pytest.raises(UnsafePickleError, match=name.replace("\n", ".")):
        load_arrays(b"\x80\x02}U\x01xc" + name.encode() + b"\ns.")


def test_bytes_in_a_codec_other_than_latin1_are_refused():
    class Rot13:
        def __reduce__(self):
            return _codecs.encode, ("abc", "rot13")

    with pytest.raises(UnsafePickleError, match="latin1"):
        load_arrays(pickled({"x": Rot13()}))


def test_an_array_of_python_objects_becomes_a_list_not_an_array():
    array = np.array([{"a": 1}, None], dtype=object)
    assert load_arrays(pickled({"x": array}))["x"] == [{"a": 1}, None]


def test_an_array_whose_shape_does_not_fit_its_bytes_is_refused():
    honest = pickled({"x": np.zeros(3, np.uint8)})
    forged = honest.replace(b"K\x03\x85", b"K\x09\x85")
    assert forged != honest
    with pytest.raises(UnsafePickleError, match="does not fit"):
        load_arrays(forged)


def test_a_memo_index_beyond_the_pickle_is_refused_before_memory_is_taken():
    with pytest.raises(UnsafePickleError, match="memo"):
        load_arrays(b"\x80\x02}r\xff\xff\xff\x7f.")


def test_a_container_that_holds_itself_is_refused():
    value = []
    value.append(value)
    with pytest.raises(UnsafePickleError):
        load_arrays(pickled({"x": value}))


def test_something_other_than_a_dict_is_refused():
    with pytest.raises(UnsafePickleError, match="dict"):
        load_arrays(pickled([1, 2, 3]))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_with_the_one_error(data):
    with contextlib.suppress(UnsafePickleError):
        assert isinstance(load_arrays(data), dict)


@given(st.data())
def test_any_damage_to_a_pickle_is_read_or_refused_with_the_one_error(data):
    whole = bytearray(pickled({"x": np.arange(5), "y": [1, "a", (2.5, None)]}))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UnsafePickleError):
        assert isinstance(load_arrays(bytes(whole)), dict)
