"""The disk as a power cut would have left it: the writes of a log, applied up to a point.

Killing QEMU leaves every write that the guest ever made in the host's page cache, flushed or not.
A real power cut does not. So a run is recorded once (`Hardware.write_log`), and afterwards the disk
of any moment is made from the image before it and the log:

    base = to_raw(disk, directory / "base.img")          # before the machine is switched on
    ...                                                  # record; end with Machine.quit()
    log = WriteLog.read(path, size_of(base))
    replay = Replay(log, base, directory / "replay.img")
    for cut in choose(log, 100, seed=1):
        with replay.at(cut):
            ...                                          # look at replay.image, never write to it

Whoever must write to the disk, such as a guest that boots from it, does so in an
`overlay(replay.image, ...)`, which is worthless once the `with` ends.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qemu.errors import QemuError
from qemu.tools import run
from qemu.write_log import Entry, Flags, WriteLog, WriteLogError

_PIECE = 1 << 20  # bytes copied at a time


@dataclass(frozen=True, slots=True)
class Cut:
    """A moment at which the power goes.

    Attributes:
        boundary: How many entries of the log are on the disk for sure.
        also: Indices of later writes that happen to be on it as well, in the order in which the
            disk stored them.
    """

    boundary: int
    also: tuple[int, ...] = ()


def choose(log: WriteLog, count: int, seed: int, *, stray: bool = True) -> list[Cut]:
    """Cuts at flushes, chosen at random: the same ones for the same log and seed.

    Args:
        log: The log.
        count: How many; fewer if the log has fewer boundaries.
        seed: Of the choice.
        stray: Whether about half of the cuts keep some of the writes that were not flushed yet, in
            any order, as the cache of a real disk does.

    Returns:
        Them, in the order of the log.
    """
    chance = random.Random(seed)  # noqa: S311 - repeatable, nothing secret
    boundaries = log.boundaries()
    cuts = []
    for boundary in sorted(chance.sample(boundaries, min(count, len(boundaries)))):
        also: list[int] = []
        if stray and chance.random() < 0.5 and (pending := log.unflushed(boundary)):
            also = chance.sample(pending, chance.randint(1, len(pending)))
        cuts.append(Cut(boundary, tuple(also)))
    return cuts


class Replay:
    """A raw image that goes through a log.

    Attributes:
        image: The image.
        position: How many entries it holds.
    """

    def __init__(self, log: WriteLog, base: Path, image: Path) -> None:
        """Make the image; it holds no entry yet.

        Args:
            log: The log.
            base: The disk before it, raw; it is only read.
            image: The file to make, a sparse copy.

        Raises:
            QemuError: The base is not of the disk's size, or cannot be copied.
        """
        if base.stat().st_size != log.disk_size:
            raise QemuError(
                f"{base} has {base.stat().st_size} bytes, the disk of {log.path} {log.disk_size}"
            )
        run(["cp", "--reflink=auto", "--sparse=always", "--no-preserve=mode", base, image])
        self.image = image
        self.position = 0
        self._log = log

    def advance(self, boundary: int) -> None:
        """Apply entries until the image holds `boundary` of them.

        Raises:
            ValueError: It is beyond that already, or the log is shorter.
            WriteLogError: The log has changed since it was read.
        """
        if not self.position <= boundary <= len(self._log.entries):
            raise ValueError(
                f"{boundary} is not from {self.position}, where the image is, "
                f"to {len(self._log.entries)}, where the log ends"
            )
        with self._files() as (log, image):
            while self.position < boundary:
                _apply(self._log.entries[self.position], log, image)
                self.position += 1

    @contextlib.contextmanager
    def at(self, cut: Cut) -> Iterator[Path]:
        """The image as the cut leaves it; what was not flushed is taken back at the end.

        Raises:
            ValueError: The image is beyond the cut already.
            WriteLogError: The log has changed since it was read.
        """
        self.advance(cut.boundary)
        before: list[tuple[int, bytes]] = []
        try:
            with self._files() as (log, image):
                for index in cut.also:
                    entry = self._log.entries[index]
                    for offset, length in _pieces(entry):
                        before.append((offset, _read(image, length, offset, self.image)))
                    _apply(entry, log, image)
            yield self.image
        finally:
            with self._files() as (_, image):
                for offset, data in reversed(before):
                    _write(image, data, offset)

    @contextlib.contextmanager
    def _files(self) -> Iterator[tuple[int, int]]:
        with self._log.path.open("rb") as log, self.image.open("r+b") as image:
            yield log.fileno(), image.fileno()


def _apply(entry: Entry, log: int, image: int) -> None:
    if entry.flags & Flags.DISCARD:
        _zero(image, entry.offset, entry.length)
    elif entry.has_data:
        for offset, length in _pieces(entry):
            data = _read(log, length, entry.place + offset - entry.offset, "the write log")
            _write(image, data, offset)


def _pieces(entry: Entry) -> Iterator[tuple[int, int]]:
    end = entry.offset + entry.length
    for offset in range(entry.offset, end, _PIECE):
        yield offset, min(_PIECE, end - offset)


def _read(file: int, length: int, offset: int, name: object) -> bytes:
    data = os.pread(file, length, offset)
    if len(data) < length:
        raise WriteLogError(f"{name} has become shorter than {offset + length} bytes")
    return data


def _write(file: int, data: bytes, offset: int) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(file, rest, offset)
        rest, offset = rest[written:], offset + written


def _zero(file: int, offset: int, length: int) -> None:
    """Zero a range; its holes stay holes, for a discard may be as large as the disk."""
    end = offset + length
    while offset < end:
        try:
            data = os.lseek(file, offset, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole to the end
                return
            raise
        hole = min(os.lseek(file, data, os.SEEK_HOLE), end)
        for at in range(data, hole, _PIECE):
            _write(file, bytes(min(_PIECE, hole - at)), at)
        offset = hole
