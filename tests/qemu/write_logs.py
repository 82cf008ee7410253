"""Write logs for tests, written as QEMU writes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qemu.write_log import HEADER, MAGIC, SUPER, VERSION, Flags


@dataclass(frozen=True, slots=True)
class Written:
    """An entry to write: where on the disk, in sectors, and with which data."""

    flags: Flags
    first: int = 0
    data: bytes = b""
    discarded: int = 0
    """Sectors."""


def encode(entries: Sequence[Written], sector: int = 512, count: int | None = None) -> bytes:
    """A log's bytes; it says to have `count` entries, or as many as it has."""
    parts = [SUPER.pack(MAGIC, VERSION, len(entries) if count is None else count, sector)]
    for entry in entries:
        sectors = entry.discarded or len(entry.data) // sector
        parts.append(HEADER.pack(entry.first, sectors, entry.flags, 0))
        if entry.data:
            parts.append(entry.data)
    return b"".join(part.ljust(-(-len(part) // sector) * sector, b"\0") for part in parts)


def write(path: Path, entries: Sequence[Written], sector: int = 512) -> Path:
    """Write a log; `path`."""
    path.write_bytes(encode(entries, sector))
    return path


def applied(disk: bytes, entries: Sequence[Written], sector: int = 512) -> bytes:
    """What a disk holds after entries: the plainest form of a replay, to compare with."""
    result = bytearray(disk)
    for entry in entries:
        start = entry.first * sector
        data = entry.data or bytes(entry.discarded * sector)
        result[start : start + len(data)] = data
    return bytes(result)
