"""The boards that images are made for, and a slot's boot partition, which is the same for all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from image import gpt, jetson_nano, layout, raspberry_pi
from image.boot_files import Files, Sources, boot_script, checked, device_trees, filled_in, kernel
from image.commands import BuildError


@dataclass(frozen=True, slots=True)
class Board:
    """A board, or several that start from the same card.

    Attributes:
        name: What it is asked for by, and the end of its image's name.
        disk: The layout of its card.
        first_files: Makes the files of its first partition.
    """

    name: str
    disk: layout.Disk
    first_files: Callable[[Sources], Files]


BOARDS: Mapping[str, Board] = {
    board.name: board
    for board in (
        Board("pi", layout.PI_DISK, raspberry_pi.first_files),
        Board("jetson-nano", gpt.JETSON_NANO_DISK, jetson_nano.first_files),
    )
}
"""All of them, by name."""


def chosen(names: Sequence[str]) -> list[Board]:
    """The boards of these names, each once.

    Raises:
        BuildError: There is no such board.
    """
    for name in names:
        if name not in BOARDS:
            raise BuildError(
                f"there is no board {name!r}; --board (BOARD= of make) takes "
                f"{' or '.join(sorted(BOARDS))}"
            )
    return [BOARDS[name] for name in dict.fromkeys(names)]


def slot_files(sources: Sources) -> Files:
    """Files of a slot's boot partition, by path: the kernel with what it needs to find its root."""
    text = filled_in(
        sources.here / "boot/slot.scr.txt", {"@DISK@": layout.DISK_ID, "@GUIDS@": gpt.GUIDS}
    )
    tree = jetson_nano.DEVICE_TREE
    return checked(
        {
            "Image": kernel(sources.root),
            "initrd.img": sources.initrd,
            tree: device_trees(sources.root, "nvidia") / tree,
            "slot.scr": boot_script(text, "slot.scr.txt", sources.work / "slot.scr", sources.epoch),
        }
    )
