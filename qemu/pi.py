"""QEMU's model of a Raspberry Pi 3B, which starts the image as a real one does, but for one step.

A Pi's graphics processor runs the closed firmware on the card, which loads U-Boot and a device tree
and starts the ARM cores. QEMU does not emulate that: it loads the same two files itself. From then
on all is the card's: U-Boot, the choice of the slot, Debian's kernel for real boards, the root file
system from the emulated SD controller.
"""

from __future__ import annotations

from pathlib import Path

from qemu import disk
from qemu.hardware import DirectBoot, Hardware

LOADER = "u-boot.bin"
DEVICE_TREE = "bcm2837-rpi-3-b.dtb"


def pi_3(image: Path, directory: Path) -> Hardware:
    """The machine, with what it starts taken from the image.

    Its card (`qemu.disk.card_size`) has to have a size that is a power of two.

    Args:
        image: The raw image.
        directory: Where to put the files that QEMU loads; made if it is missing.

    Raises:
        QemuError: The image has no such files.
    """
    directory.mkdir(parents=True, exist_ok=True)
    firmware = disk.partition(image, disk.SETTINGS_PARTITION)
    files = []
    for name in (LOADER, DEVICE_TREE):
        path = directory.absolute() / name
        path.write_bytes(disk.read_file(image, firmware, name))
        files.append(path)
    loader, device_tree = files
    # Its USB controller, to which the network would hang, finds nothing with this device tree.
    boot = DirectBoot(loader, device_tree=device_tree)
    return Hardware(board="raspi3b", direct=boot, login=False)
