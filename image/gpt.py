"""Where everything lies on a card with a GPT, as a Jetson Nano's loader wants it.

The same partitions under the same numbers as on the MBR, of the same sizes, so that one root file
system, one boot script and one update bundle serve both. What the root knows by the MBR's PARTUUIDs
it finds here by /usr/lib/udev/rules.d/61-edgenode-partitions.rules.
"""

from __future__ import annotations

from collections.abc import Mapping

from image.layout import DISK_ID, MIB, PI, Disk, Partition

GUIDS = f"{DISK_ID}-0000-4000-8000-0000000000"
"""What the GUIDs of all partitions begin with; the number in two digits completes it."""

_DISK_GUID = f"{GUIDS}00"

# The settings lie on it: Windows and macOS show a drive of this type, and hide others.
_BASIC_DATA = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
_LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"

_FIRST = 4 * MIB


def guid(number: int) -> str:
    """The GUID of a partition, which is its PARTUUID."""
    return f"{GUIDS}{number:02d}"


def _partitions() -> Mapping[str, Partition]:
    parts: dict[str, Partition] = {}
    at = _FIRST
    for part in PI.values():
        # Only an MBR needs a partition around others; its number stays unused.
        if part.name == "extended":
            continue
        kind = _BASIC_DATA if part.name == "firmware" else _LINUX
        parts[part.name] = Partition(part.name, part.number, at, part.size, kind, part.bootable)
        at = parts[part.name].end
    return parts


def _sfdisk_script(partitions: Mapping[str, Partition]) -> str:
    lines = ["label: gpt", f"label-id: {_DISK_GUID}", "unit: sectors", ""]
    for part in sorted(partitions.values(), key=lambda part: part.number):
        flag = ', attrs="LegacyBIOSBootable"' if part.bootable else ""
        lines.append(
            f"{part.number} : start={part.start // 512}, size={part.size // 512}, "
            f'type={part.kind}, uuid={guid(part.number)}, name="{part.name}"{flag}'
        )
    return "\n".join(lines) + "\n"


JETSON_NANO: Mapping[str, Partition] = _partitions()
"""Jetson Nano: its U-Boot looks on the first partition that is flagged bootable."""

JETSON_NANO_DISK = Disk(
    JETSON_NANO,
    _sfdisk_script(JETSON_NANO),
    # The last 33 sectors hold the table's second copy.
    max(part.end for part in JETSON_NANO.values()) + MIB,
)
"""Its card."""
