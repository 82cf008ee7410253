"""What a guest wrote to its disk, write by write, as QEMU's `blklogwrites` records it.

The format is that of Linux' dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst),
all numbers little-endian, everything padded to sectors of the log:

    super block   magic u64, version u64 = 1, number of entries u64, bytes per sector u32
    entry         sector u64, number of sectors u64, flags u64, length of a mark u64
    its data      the sectors that were written; none for a discard

QEMU logs a write when it is done and before the guest is told so, and a flush likewise. So what
stands before a flush in the log is all that the guest may rely upon after it.

A log is outside input: nothing is believed that does not fit the file and the disk.
"""

from __future__ import annotations

import enum
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from qemu.errors import QemuError

MAGIC = 0x6A736677736872
VERSION = 1
SUPER = struct.Struct("<QQQI")
HEADER = struct.Struct("<QQQQ")

SMALLEST_SECTOR = 512
LARGEST_SECTOR = 1 << 23
"""Bytes; QEMU takes any power of two below 16 MiB."""

MOST_ENTRIES = 1 << 20
"""Of a log. They are kept in memory, some 150 bytes each; a box writes some thousands an hour."""


class WriteLogError(QemuError):
    """The file is no write log, or is damaged; the message names file, entry and place."""


class Flags(enum.IntFlag):
    """What an entry is."""

    FLUSH = 1
    FUA = 2
    DISCARD = 4
    MARK = 8
    METADATA = 16


@dataclass(frozen=True, slots=True)
class Entry:
    """One write, flush, discard or mark.

    Attributes:
        flags: What it is.
        offset: Byte of the disk.
        length: Bytes of the disk.
        place: Byte of the log where the data begin; meaningless if there are none.
    """

    flags: Flags
    offset: int
    length: int
    place: int

    @property
    def has_data(self) -> bool:
        """Whether it changes the disk to something that stands in the log."""
        return self.length > 0 and not self.flags & Flags.DISCARD


@dataclass(frozen=True, slots=True)
class WriteLog:
    """A log whose entries have been checked.

    Attributes:
        path: The file.
        disk_size: Bytes of the disk.
        entries: In the order in which they were done.
        torn: What is wrong behind the last entry, in a log that may be torn.
    """

    path: Path
    disk_size: int
    entries: Sequence[Entry]
    torn: str | None = None

    @classmethod
    def read(cls, path: Path, disk_size: int, *, may_be_torn: bool = False) -> WriteLog:
        """Read a log's entries; their data stay in the file.

        Args:
            path: The file.
            disk_size: Bytes of the disk whose writes it holds.
            may_be_torn: Whether to take what is good of a log whose end is not. QEMU counts an
                entry before it is written, so the last ones are missing if it was killed; a log of
                a QEMU that was ended in order (`Machine.quit`) is whole.

        Raises:
            WriteLogError: It is no log, or a damaged one.
            OSError: It cannot be read.
        """
        entries: list[Entry] = []
        torn = None
        with path.open("rb") as file:
            reader = _Reader(path, file.fileno())
            try:
                for entry in reader.entries(disk_size):
                    entries.append(entry)
            except WriteLogError as error:
                if not may_be_torn:
                    raise
                torn = str(error)
        return cls(path, disk_size, tuple(entries), torn)

    def boundaries(self) -> list[int]:
        """The prefixes, as numbers of entries, that end with a flush or a forced write.

        After each of them the guest was told that something is safe. The empty prefix is one too.
        """
        safe = Flags.FLUSH | Flags.FUA
        ends = [n for n, entry in enumerate(self.entries, 1) if entry.flags & safe]
        return [0, *ends]

    def unflushed(self, boundary: int) -> list[int]:
        """Indices of the writes after a prefix that were done before the next flush.

        A disk may have stored any of them when the power goes, and in any order.
        """
        found = []
        for index in range(boundary, len(self.entries)):
            entry = self.entries[index]
            if entry.flags & Flags.FLUSH:
                break
            if entry.length:
                found.append(index)
        return found


def logged(path: Path) -> int:
    """How many entries a log holds for sure while QEMU still writes to it.

    All that the guest was told to be safe before this call is among them.

    Raises:
        WriteLogError: It is no log; before the first flush it is empty.
    """
    with path.open("rb") as file:
        count: int = _Reader(path, file.fileno()).count
        return count


class _Reader:
    """An open log.

    Attributes:
        path: Its name.
        file: Its descriptor.
        size: Its bytes.
        count: How many entries it says to have.
        sector: Bytes per sector.
    """

    def __init__(self, path: Path, file: int) -> None:
        """Read the super block."""
        self.path, self.file, self.size = path, file, os.fstat(file).st_size
        data = os.pread(file, SUPER.size, 0)
        if len(data) < SUPER.size:
            raise WriteLogError(f"{path}: {self.size} bytes are too few for a write log")
        magic, version, self.count, self.sector = SUPER.unpack(data)
        if magic != MAGIC:
            raise WriteLogError(f"{path}: not a write log (it begins with {data[:8].hex()})")
        if version != VERSION:
            raise WriteLogError(
                f"{path}: a write log of version {version}, only {VERSION} is known"
            )
        smallest, largest = SMALLEST_SECTOR, LARGEST_SECTOR
        if not smallest <= self.sector <= largest or self.sector & (self.sector - 1):
            raise WriteLogError(
                f"{path}: sectors of {self.sector} bytes; a power of two from {smallest} to "
                f"{largest} is allowed"
            )
        if self.count > MOST_ENTRIES:
            raise WriteLogError(f"{path}: {self.count} entries, at most {MOST_ENTRIES} are allowed")

    def entries(self, disk_size: int) -> Iterator[Entry]:
        """All entries."""
        place = self.sector
        for index in range(self.count):
            try:
                entry = self._entry(place, disk_size)
            except ValueError as error:
                raise WriteLogError(
                    f"{self.path}: entry {index} at byte {place}: {error}"
                ) from error
            yield entry
            place += self.sector + (entry.length if entry.has_data else 0)

    def _entry(self, place: int, disk_size: int) -> Entry:
        data = os.pread(self.file, HEADER.size, place)
        if len(data) < HEADER.size or place + self.sector > self.size:
            raise ValueError(f"the file ends, but should have {self.count} entries")
        first, sectors, bits, mark = HEADER.unpack(data)
        if bits & ~sum(Flags):
            raise ValueError(f"unknown flags {bits:#x}")
        flags = Flags(bits)
        offset, length = first * self.sector, sectors * self.sector
        if offset + length > disk_size:
            raise ValueError(f"bytes {offset} to {offset + length} of a disk of {disk_size}")
        if not length and not flags & (Flags.FLUSH | Flags.MARK):
            raise ValueError("it does nothing")
        if mark > self.sector - HEADER.size or (mark and not flags & Flags.MARK):
            raise ValueError(f"a mark of {mark} bytes")
        entry = Entry(flags, offset, length, place + self.sector)
        if entry.has_data and entry.place + length > self.size:
            raise ValueError(f"its {length} bytes of data reach beyond the file's {self.size}")
        return entry
