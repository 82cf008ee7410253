"""What a Jetson Nano finds on its first partition: the boot script, a way round it, settings.

Its firmware lies in the board's own flash and comes from the vendor (L4T 32.5 or later): the last
part of it is U-Boot, which looks for boot.scr and then for boot/extlinux/extlinux.conf.
"""

from __future__ import annotations

from image.boot_files import (
    Files,
    Sources,
    boot_script,
    checked,
    common_files,
    device_trees,
    filled_in,
    kernel,
)
from image.commands import BuildError
from image.gpt import GUIDS

DEVICE_TREE = "tegra210-p3450-0000.dtb"
"""Debian's name of the developer kit's device tree."""

# The vendor's U-Boot is built without setexpr; the variables are those of jetson-nano.scr.txt.
_WITHOUT_SETEXPR = {
    "setexpr a_left ${a_left} - 1": "setenv left ${a_left}; run one_less; setenv a_left ${left}",
    "setexpr b_left ${b_left} - 1": "setenv left ${b_left}; run one_less; setenv b_left ${left}",
    "setexpr gen ${gen} + 1\nsetenv gen 0x${gen}\n": "run next_gen\n",
}


def first_files(sources: Sources) -> Files:
    """Files of the first partition, by path.

    Raises:
        BuildError: The root file system lacks one.
    """
    folder = sources.here / "boot"
    script = boot_script(
        script_text(sources), "jetson-nano.scr.txt", sources.work / "jetson-nano.scr", sources.epoch
    )
    rescue = filled_in(folder / "extlinux.conf.txt", {"@GUIDS@": GUIDS})
    files: Files = {
        "boot.scr": script,
        "boot/extlinux/extlinux.conf": rescue.encode(),
        "boot/Image": kernel(sources.root),
        "boot/initrd.img": sources.initrd,
        f"boot/{DEVICE_TREE}": device_trees(sources.root, "nvidia") / DEVICE_TREE,
    }
    return checked(files | common_files(sources))


def script_text(sources: Sources) -> str:
    """The boot script: that of all boards after what this one's U-Boot has to be told.

    Raises:
        BuildError: The script of all boards counts in a way that this U-Boot does not know.
    """
    folder = sources.here / "boot"
    common = filled_in(folder / "boot.scr.txt", _WITHOUT_SETEXPR)
    if "setexpr" in common:
        raise BuildError(
            f"{folder / 'boot.scr.txt'} has a setexpr that a Jetson Nano's U-Boot does not know: "
            "say in image/jetson_nano.py what stands for it"
        )
    return (folder / "jetson-nano.scr.txt").read_text(encoding="utf-8") + "\n" + common
