"""Fashion-MNIST: 70,000 grey images of clothes in ten classes (MIT licence).

Debian's package dataset-fashion-mnist has it as four gzipped IDX files. Here its images take the
form of CIFAR-10's, so that the same models train on them: a border of black makes them 32 by 32,
and red, green and blue are the same.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.cifar import Images

FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package puts the files."""

CLASSES = 10
SIDE = 28
BORDER = 2
_IMAGES_LIMIT = 60_000
_MAGIC_IMAGES, _MAGIC_LABELS = 0x803, 0x801


class FashionMnistError(ValueError):
    """The given folder does not hold Fashion-MNIST; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True, eq=False)
class FashionMnist:
    """60,000 training images and 10,000 test images."""

    training: Images
    test: Images


def load(folder: Path = FOLDER) -> FashionMnist:
    """Read the four files of a folder.

    Raises:
        FashionMnistError: one is missing or damaged.
    """
    return FashionMnist(_part(folder, "train"), _part(folder, "t10k"))


def _part(folder: Path, name: str) -> Images:
    pixels = _idx(folder / f"{name}-images-idx3-ubyte.gz", _MAGIC_IMAGES, (SIDE, SIDE))
    labels = _idx(folder / f"{name}-labels-idx1-ubyte.gz", _MAGIC_LABELS, ())
    if len(pixels) != len(labels):
        raise FashionMnistError(f"{folder}: {len(pixels)} {name} images, {len(labels)} labels")
    if labels.max(initial=0) >= CLASSES:
        raise FashionMnistError(f"{folder}: a {name} label is {labels.max()}, not below {CLASSES}")
    bordered = np.pad(pixels, ((0, 0), (BORDER, BORDER), (BORDER, BORDER)))
    return Images(np.repeat(bordered[..., None], 3, axis=3), labels.astype(np.int32))


def _idx(path: Path, magic: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """An IDX file of bytes: magic number, number of items and sides (32 bits each), the items."""
    sizes = 2 + len(shape)
    longest = 4 * sizes + _IMAGES_LIMIT * int(np.prod(shape))
    try:
        with gzip.open(path) as file:
            content = file.read(longest + 1)
    except FileNotFoundError:
        raise FashionMnistError(
            f"{path} is missing; Debian's package dataset-fashion-mnist brings it"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise FashionMnistError(f"{path}: {error}") from None
    if len(content) < 4 * sizes:
        raise FashionMnistError(f"{path} has {len(content)} bytes, too few for an IDX file")
    header = np.frombuffer(content, ">u4", sizes).tolist()
    if header[0] != magic or tuple(header[2:]) != shape:
        raise FashionMnistError(f"{path} begins with {header}, not with {magic} and {shape}")
    items = np.frombuffer(content, np.uint8, offset=4 * sizes)
    if items.size != header[1] * int(np.prod(shape)):
        raise FashionMnistError(f"{path} says {header[1]} items and has {items.size} bytes of them")
    return items.reshape(header[1], *shape)
