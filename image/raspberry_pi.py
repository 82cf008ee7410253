"""What a Raspberry Pi finds on its first partition: firmware, U-Boot, device trees, settings."""

from __future__ import annotations

from image.boot_files import Files, Sources, boot_script, checked, common_files, device_trees

CONFIG = """\
# The Pi's firmware starts U-Boot, which picks the slot (boot.scr).
[all]
arm_64bit=1
kernel=u-boot.bin
enable_uart=1
upstream_kernel=1
gpu_mem=16
disable_overscan=1
"""

_FIRMWARE = (
    "bootcode.bin", "start.elf", "fixup.dat", "start_cd.elf", "fixup_cd.dat",
    "start4.elf", "fixup4.dat", "start4cd.elf", "fixup4cd.dat",
)  # fmt: skip
"""With gpu_mem=16 the firmware takes the cut-down pair, with other settings the full one."""


def first_files(sources: Sources) -> Files:
    """Files of the first partition, by path.

    Raises:
        BuildError: The root file system lacks one.
    """
    root = sources.root
    files: Files = {name: root / "usr/lib/raspi-firmware" / name for name in _FIRMWARE}
    files["config.txt"] = CONFIG.encode()
    files["u-boot.bin"] = root / "usr/lib/u-boot/rpi_arm64/u-boot.bin"
    for tree in sorted(device_trees(root, "broadcom").glob("bcm2*-rpi-*.dtb")):
        files[tree.name] = tree
        # The Pi 3's firmware asks for the name that the vendor's kernel gives the tree.
        if tree.name.startswith("bcm2837"):
            files[tree.name.replace("bcm2837", "bcm2710")] = tree
    source = sources.here / "boot/boot.scr.txt"
    files["boot.scr"] = boot_script(
        source.read_text(encoding="utf-8"), source.name, sources.work / "boot.scr", sources.epoch
    )
    return checked(files | common_files(sources))
