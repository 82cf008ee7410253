"""A guest's disk: a thin copy of the image, with the box's settings on its FAT partition.

The image itself is never written to. A copy is a qcow2 file that holds only what differs.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qemu.errors import QemuError
from qemu.tools import run

SECTOR = 512
SETTINGS_PARTITION = 1


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition.

    Attributes:
        number: As in its device's name, from 1.
        start: Byte of the disk that it begins at.
        size: Bytes.
        kind: MBR type in hexadecimal, or a GPT type's UUID.
    """

    number: int
    start: int
    size: int
    kind: str


def overlay(backing: Path, path: Path, *, size: int | None = None) -> Path:
    """Make a thin copy.

    Args:
        backing: A raw image or another thin copy. It must not change from now on.
        path: The qcow2 file to make.
        size: Bytes, if the copy shall be larger than `backing`.

    Returns:
        `path`.

    Raises:
        QemuError: `backing` is no image, or is larger than `size`.
    """
    described = _describe(backing)
    has = int(described["virtual-size"])
    if size is not None and size < has:
        raise QemuError(f"{backing} has {has} bytes and does not fit on a disk of {size}")
    run(
        [
            *("qemu-img", "create", "-q", "-f", "qcow2"),
            *("-F", str(described["format"]), "-b", backing.absolute()),
            path,
            *([] if size is None else [str(size)]),
        ]
    )
    return path


def snapshot(disk: Path, name: str) -> None:
    """Keep what a thin copy holds now, inside its file, under a name.

    Raises:
        QemuError: A running guest holds it.
    """
    run(["qemu-img", "snapshot", "-c", name, disk])


def revert(disk: Path, name: str) -> None:
    """Let a thin copy hold again what it did when the snapshot was taken.

    Raises:
        QemuError: A running guest holds it, or there is no such snapshot.
    """
    run(["qemu-img", "snapshot", "-a", name, disk])


def size_of(disk: Path) -> int:
    """Bytes that a guest would see.

    Raises:
        QemuError: It is no image.
    """
    return int(_describe(disk)["virtual-size"])


def card_size(disk: Path) -> int:
    """The smallest power of two that holds a disk: raspi3b takes no other card."""
    return 1 << (size_of(disk) - 1).bit_length()


def to_raw(disk: Path, path: Path) -> Path:
    """Write all that a guest would see into a raw file (sparse); `path`.

    Raises:
        QemuError: It is no image, or a running guest holds it.
    """
    run(["qemu-img", "convert", "-q", "-O", "raw", disk, path])
    return path


def partitions(image: Path) -> list[Partition]:
    """What is on a raw disk, in order of number.

    A thin copy has its image's partitions until the guest has grown one of them; for what is there
    then see `to_raw`.

    Raises:
        QemuError: It is not raw, or there is no partition table.
    """
    if (form := _describe(image)["format"]) != "raw":
        raise QemuError(f"{image} is {form}: partitions are looked up in a raw image")
    table = json.loads(run(["sfdisk", "--json", image]))["partitiontable"]
    sector = int(table.get("sectorsize", SECTOR))
    found = []
    for entry in table.get("partitions", []):
        number = entry["node"].removeprefix(str(image)).lstrip("p")
        start, size = int(entry["start"]) * sector, int(entry["size"]) * sector
        found.append(Partition(int(number), start, size, str(entry["type"])))
    return sorted(found, key=lambda each: each.number)


def partition(image: Path, number: int) -> Partition:
    """One partition of a raw disk.

    Raises:
        QemuError: It is not there.
    """
    there = partitions(image)
    for each in there:
        if each.number == number:
            return each
    raise QemuError(f"{image} has no partition {number}, only {[each.number for each in there]}")


def extract(disk: Path, what: Partition, path: Path) -> Path:
    """Write a partition into a raw file (sparse); `path`.

    Raises:
        QemuError: A running guest holds the disk.
    """
    run(["qemu-img", "convert", "-q", "-O", "raw", "--image-opts", _slice(disk, what), path])
    return path


def insert(raw: Path, disk: Path, what: Partition) -> None:
    """Write a raw file over a partition of the same size.

    Raises:
        QemuError: The size is another, or a running guest holds the disk.
    """
    if raw.stat().st_size != what.size:
        raise QemuError(
            f"{raw} has {raw.stat().st_size} bytes, partition {what.number} {what.size}"
        )
    run(
        [
            *("qemu-img", "convert", "-q", "-n", "-f", "raw"),
            *("--target-image-opts", raw, _slice(disk, what)),
        ]
    )


def write_files(disk: Path, what: Partition, files: Mapping[str, bytes]) -> None:
    """Write files into a FAT partition.

    Args:
        disk: A thin copy; no guest may run on it.
        what: The partition.
        files: Name to content; those that are there are replaced.

    Raises:
        QemuError: It is not FAT, or it is full.
    """
    with tempfile.TemporaryDirectory(prefix="partition-", dir=disk.absolute().parent) as scratch:
        raw = extract(disk, what, Path(scratch) / "partition.img")
        source = Path(scratch) / "file"
        for name, content in files.items():
            source.write_bytes(content)
            run(["mcopy", "-o", "-i", raw, source, f"::{name}"])
        insert(raw, disk, what)


def read_file(disk: Path, what: Partition, name: str) -> bytes:
    """A file of a FAT partition.

    Args:
        disk: An image or a thin copy; no guest may run on it.
        what: The partition.
        name: The file's path, with `/`.

    Raises:
        QemuError: It is not FAT, or there is no such file.
    """
    with tempfile.TemporaryDirectory(prefix="edgenode-disk-") as scratch:
        raw = extract(disk, what, Path(scratch) / "partition.img")
        target = Path(scratch) / "file"
        run(["mcopy", "-i", raw, f"::{name}", target])
        return target.read_bytes()


def _describe(disk: Path) -> Mapping[str, Any]:
    if not disk.exists():
        raise QemuError(f"there is no {disk}")
    # A guest may run on it: -U looks without taking its lock.
    described = json.loads(run(["qemu-img", "info", "-U", "--output=json", disk]))
    return dict(described)


def _slice(disk: Path, what: Partition) -> str:
    """Words for qemu-img that show a partition as if it were a disk."""
    name = str(disk.absolute()).replace(",", ",,")
    options = f"driver=raw,offset={what.start},size={what.size}"
    if _describe(disk)["format"] == "raw":
        return f"{options},file.driver=file,file.filename={name}"
    return f"{options},file.driver=qcow2,file.file.driver=file,file.file.filename={name}"
