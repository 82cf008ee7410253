"""CIFAR-10 from its official archives, which the user downloads (they are in no package).

Both forms of https://www.cs.toronto.edu/~kriz/cifar.html are read, packed or unpacked:

* python: `cifar-10-python.tar.gz`, five pickled batches and a test batch of 10,000 images;
* binary: `cifar-10-binary.tar.gz`, the same as records of a label byte and 3,072 pixel bytes.

Pixels are stored by colour plane: 1,024 red, then green, then blue, each row by row.
"""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
from numpy.typing import NDArray

from datasets.unpickle import UnsafePickleError, load_arrays

CLASSES = 10
_PIXELS = 3 * 32 * 32
_RECORD = 1 + _PIXELS

_TRAINING = tuple(f"data_batch_{n}" for n in range(1, 6))
_TEST = "test_batch"

# An official batch has 10,000 images: 30,730,000 bytes, and in pickled form 31,035,704 for
# data_batch_1. More is another file, or one made to fill the memory.
_MAX_IMAGES = 10_000
_MAX_FILE = 40 << 20
# The official archives unpack to about 186 MB.
_MAX_UNPACKED = 512 << 20


class CifarError(ValueError):
    """The given path does not hold CIFAR-10; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True, eq=False)
class Images:
    """Images uint8 (n, 32, 32, 3) in RGB, and labels int32 (n,) in 0..9."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int32]

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Cifar10:
    """The training images, batches 1 to 5 in order, and the test images."""

    training: Images
    test: Images


def load(path: Path) -> Cifar10:
    """Load CIFAR-10 from an official archive, or from the folder that it unpacks to.

    Raises:
        CifarError: The path is missing, or a batch is missing, damaged or out of range.
    """
    files = _from_folder(path) if path.is_dir() else _from_archive(path)
    batches: dict[str, Images] = {}
    for name, content in files:
        stem = name.removesuffix(".bin")
        if stem in batches:
            raise CifarError(f"{path} holds {stem} twice")
        read = _binary if name.endswith(".bin") else _pickled
        batches[stem] = read(content, f"{name} in {path}")
    missing = [name for name in (*_TRAINING, _TEST) if name not in batches]
    if missing:
        raise CifarError(
            f"{path} lacks {', '.join(missing)}; give cifar-10-python.tar.gz, "
            "cifar-10-binary.tar.gz, or the folder that one of them unpacks to"
        )
    training = [batches[name] for name in _TRAINING]
    return Cifar10(
        Images(
            np.concatenate([batch.pixels for batch in training]),
            np.concatenate([batch.labels for batch in training]),
        ),
        batches[_TEST],
    )


def _wanted(name: str) -> bool:
    return name.removesuffix(".bin") in {*_TRAINING, _TEST}


def _bounded_read(file: IO[bytes], name: str) -> bytes:
    content = file.read(_MAX_FILE + 1)
    if len(content) > _MAX_FILE:
        raise CifarError(f"{name} is larger than any batch of CIFAR-10")
    return content


def _from_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.iterdir()):
        if _wanted(path.name) and path.is_file():
            with path.open("rb") as file:
                yield path.name, _bounded_read(file, str(path))


class _Unpacked(gzip.GzipFile):
    """What a gzip file unpacks to, up to a bound: a small file may hold any number of zeros."""

    _taken = 0

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(_MAX_UNPACKED if size is None or size < 0 else size)
        self._taken += len(content)
        if self._taken > _MAX_UNPACKED:
            raise CifarError("the archive unpacks to more than CIFAR-10 holds")
        return content


def _from_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with _Unpacked(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                file = archive.extractfile(member) if member.isreg() and _wanted(name) else None
                if file is not None:
                    yield name, _bounded_read(file, f"{name} in {path}")
            # To the end, where gzip keeps the checksum of all that was read.
            while unpacked.read(1 << 20):
                pass
    except FileNotFoundError as error:
        raise CifarError(f"{path} does not exist") from error
    except (OSError, EOFError, tarfile.TarError, zlib.error, ValueError) as error:
        if isinstance(error, CifarError):
            raise
        raise CifarError(f"{path} is not a .tar.gz archive, or is damaged: {error}") from error


def _images(planes: NDArray[np.uint8], labels: NDArray[np.int64], name: str) -> Images:
    if not 1 <= len(labels) <= _MAX_IMAGES:
        raise CifarError(f"{name} holds {len(labels)} images, not 1 to {_MAX_IMAGES}")
    if labels.min() < 0 or labels.max() >= CLASSES:
        raise CifarError(f"{name} has a label that is not in 0..{CLASSES - 1}")
    pixels = planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return Images(np.ascontiguousarray(pixels), labels.astype(np.int32))


def _binary(content: bytes, name: str) -> Images:
    if len(content) % _RECORD:
        raise CifarError(f"{name} has {len(content)} bytes, no multiple of {_RECORD}: cut short?")
    records = np.frombuffer(content, np.uint8).reshape(-1, _RECORD)
    return _images(records[:, 1:], records[:, 0].astype(np.int64), name)


def _pickled(content: bytes, name: str) -> Images:
    try:
        batch = load_arrays(content)
    except UnsafePickleError as error:
        raise CifarError(f"{name}: {error}") from error
    data, labels = batch.get("data"), batch.get("labels")
    if (
        not isinstance(data, np.ndarray)
        or data.dtype != np.uint8
        or data.ndim != 2
        or data.shape[1] != _PIXELS
    ):
        raise CifarError(f"{name} has no data of uint8 (n, {_PIXELS})")
    if (
        not isinstance(labels, list)
        or len(labels) != len(data)
        or not all(type(label) is int and 0 <= label < CLASSES for label in labels)
    ):
        raise CifarError(f"{name} does not have {len(data)} labels in 0..{CLASSES - 1}")
    return _images(data, np.array(labels, np.int64), name)
