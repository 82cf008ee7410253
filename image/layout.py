"""Where everything lies on a card: the MBR of most boards. image/gpt.py has the other table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MIB = 1 << 20

DISK_ID = "ed9e0001"
"""The MBR's disk signature, the same for all boxes: partitions are found by it (PARTUUID)."""


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition.

    Attributes:
        name: What is in it.
        number: Its number; on an MBR, PARTUUID is the disk id, a dash, and this in two digits.
        start: Offset in bytes, a multiple of 1 MiB.
        size: Bytes, a multiple of 1 MiB.
        kind: Its type: of an MBR in hexadecimal, of a GPT a GUID.
        bootable: Whether it carries the flag that U-Boot looks for.
    """

    name: str
    number: int
    start: int
    size: int
    kind: str
    bootable: bool = False

    @property
    def end(self) -> int:
        """Offset of the byte after it."""
        return self.start + self.size


@dataclass(frozen=True, slots=True)
class Disk:
    """A whole card.

    Attributes:
        partitions: What lies where, by name.
        table: The partition table in the language of sfdisk(8).
        size: Bytes of the image; the data partition is grown to the card's end at the first start.
    """

    partitions: Mapping[str, Partition]
    table: str
    size: int


_FAT, _EXTENDED, _LINUX = "c", "f", "83"

# A logical partition has its own record in the MiB before it.
_RECORD = MIB


def _mbr() -> Mapping[str, Partition]:
    parts: dict[str, Partition] = {}
    at = 4 * MIB
    for number, (name, size) in enumerate(
        (("firmware", 128), ("boot-a", 80), ("boot-b", 80)), start=1
    ):
        parts[name] = Partition(name, number, at, size * MIB, _FAT, bootable=number == 1)
        at = parts[name].end
    extended = at
    for number, (name, size) in enumerate(
        (("root-a", 400), ("root-b", 400), ("data", 128)), start=5
    ):
        parts[name] = Partition(name, number, at + _RECORD, size * MIB, _LINUX)
        at = parts[name].end
    parts["extended"] = Partition("extended", 4, extended, at - extended, _EXTENDED)
    return parts


PI: Mapping[str, Partition] = _mbr()
"""Raspberry Pi 3, 4, Zero 2 W and QEMU: an MBR with the FAT first, as the Pi 3's ROM wants it. MBR
has room for four primary partitions; the slots' roots and the data are logical ones."""


def sfdisk_script(partitions: Mapping[str, Partition]) -> str:
    """The MBR in the language of sfdisk(8)."""
    lines = ["label: dos", f"label-id: 0x{DISK_ID}", "unit: sectors", ""]
    for part in sorted(partitions.values(), key=lambda part: part.number):
        flag = ", bootable" if part.bootable else ""
        lines.append(
            f"{part.number} : start={part.start // 512}, size={part.size // 512}, "
            f"type={part.kind}{flag}"
        )
    return "\n".join(lines) + "\n"


PI_DISK = Disk(PI, sfdisk_script(PI), max(part.end for part in PI.values()) + MIB)
"""The card of these boards."""
