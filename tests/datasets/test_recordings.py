"""The recordings are converted without loss beyond half a count, and damage is refused."""

import pickle
import zipfile

import numpy as np
import pytest

from datasets import recordings
from datasets.recordings import RecordingsError, Series

PER_UNIT = np.array([4096] * 3 + [1024] * 3)


def wheel(path, content, member="seglearn/data/watch_dataset.npy"):
    box = np.empty((), dtype=object)
    box[()] = content
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }\n"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + pickle.dumps(box, 2)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, data)
    return path


def content(rng, lengths=(120, 80)):
    return {
        "X": [rng.normal(0, 1, (n, 6)) for n in lengths],
        "y": np.arange(len(lengths)),
        "subject": np.arange(len(lengths)) + 1,
        "side": np.array([float(i % 2) for i in range(len(lengths))]),
    }


def test_a_wheel_is_converted_to_counts_within_half_a_count(tmp_path):
    data = content(np.random.default_rng(1))
    read = recordings.read_wheel(wheel(tmp_path / "w.whl", data))
    assert [(s.person, s.side, s.exercise) for s in read] == [(1, 0, 1), (2, 1, 2)]
    for series, physical in zip(read, data["X"], strict=True):
        assert series.values.dtype == np.int16
        assert np.abs(series.values - physical * PER_UNIT).max() <= 0.5


def test_what_is_saved_is_loaded_and_the_file_is_the_same_each_time(tmp_path):
    read = recordings.read_wheel(wheel(tmp_path / "w.whl", content(np.random.default_rng(2))))
    recordings.save(tmp_path / "one.npz", read)
    recordings.save(tmp_path / "two.npz", read)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    loaded = recordings.load(tmp_path / "one.npz")
    for before, after in zip(read, loaded, strict=True):
        assert (before.person, before.side, before.exercise) == (
            after.person,
            after.side,
            after.exercise,
        )
        assert np.array_equal(before.values, after.values)


@pytest.mark.parametrize("bad", [8.1, -8.1, np.nan, np.inf])
def test_a_sample_beyond_the_sensor_is_refused_not_clipped(bad):
    samples = np.zeros((10, 6))
    samples[3, 1] = bad
    with pytest.raises(RecordingsError, match="beyond the range"):
        recordings.to_counts(samples)


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Code:
        def __reduce__(self):
            return print, ("run",)

    with pytest.raises(RecordingsError, match="builtin"):
        recordings.read_wheel(wheel(tmp_path / "w.whl", {"X": Code()}))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("side"),
        lambda d: d.update(y=np.array([0, 7])),
        lambda d: d.update(subject=np.array([0, 1])),
        lambda d: d.update(side=np.array([0, 1, 0])),
        lambda d: d.update(X=[np.zeros((3, 5)), np.zeros((3, 6))]),
    ],
)
def test_a_wheel_with_other_columns_is_refused(tmp_path, change):
    data = content(np.random.default_rng(3))
    change(data)
    with pytest.raises(RecordingsError):
        recordings.read_wheel(wheel(tmp_path / "w.whl", data))


def test_another_file_is_refused_by_name(tmp_path):
    path = tmp_path / "other.whl"
    path.write_bytes(b"no zip")
    with pytest.raises(RecordingsError, match=r"other\.whl"):
        recordings.read_wheel(path)
    with pytest.raises(RecordingsError, match="seglearn"):
        recordings.read_wheel(wheel(path, {}, member="something/else.npy"))


def test_a_missing_file_says_how_to_make_it(tmp_path):
    with pytest.raises(RecordingsError, match=r"python -m datasets\.recordings"):
        recordings.load(tmp_path / "none.npz")


def test_a_damaged_file_is_refused_at_any_length(tmp_path):
    series = Series(1, 0, 1, np.ones((50, 6), np.int16))
    path = tmp_path / "r.npz"
    recordings.save(path, [series])
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(RecordingsError):
            recordings.load(path)


def test_lengths_that_do_not_add_up_are_refused(tmp_path):
    path = tmp_path / "r.npz"
    np.savez(
        path,
        lengths=np.array([5], np.int32),
        person=np.array([1], np.uint8),
        side=np.array([0], np.uint8),
        exercise=np.array([1], np.uint8),
        values=np.zeros((6, 6), np.int16),
    )
    with pytest.raises(RecordingsError, match="add up"):
        recordings.load(path)


def test_the_command_writes_the_file_and_an_error_is_one_line(tmp_path, capsys):
    source = wheel(tmp_path / "w.whl", content(np.random.default_rng(4)))
    out = tmp_path / "deep" / "recordings.npz"
    assert recordings.main(["--wheel", str(source), "--out", str(out)]) == 0
    assert len(recordings.load(out)) == 2
    said = capsys.readouterr()
    assert said.out == "", "what is made for the demo says nothing where its report goes"
    assert said.err == f"{out}: 2 series, 200 samples\n"
    assert recordings.main(["--wheel", str(tmp_path / "none"), "--out", str(out)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
