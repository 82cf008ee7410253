"""What each board finds on its boot partition: firmware, U-Boot, device trees, settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgenode.appliance import boot_state
from image.commands import BuildError, run

PI_CONFIG = """\
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


def pi_boot_files(root: Path, here: Path, work: Path, epoch: int) -> dict[str, Path | bytes]:
    """Files of the Pi's first partition, by path.

    Args:
        root: The finished root file system, which has the firmware and U-Boot as packages.
        here: The folder image/ of the checkout.
        work: Folder for what is made on the way.
        epoch: Unix seconds for the headers of boot scripts.
    """
    files: dict[str, Path | bytes] = {
        name: root / "usr/lib/raspi-firmware" / name for name in _FIRMWARE
    }
    files["config.txt"] = PI_CONFIG.encode()
    files["u-boot.bin"] = root / "usr/lib/u-boot/rpi_arm64/u-boot.bin"
    for tree in sorted(_device_trees(root, "broadcom").glob("bcm2*-rpi-*.dtb")):
        files[tree.name] = tree
        # The Pi 3's firmware asks for the name that the vendor's kernel gives the tree.
        if tree.name.startswith("bcm2837"):
            files[tree.name.replace("bcm2837", "bcm2710")] = tree
    files["boot.scr"] = boot_script(here / "boot/boot.scr.txt", {}, work / "boot.scr", epoch)
    for name in boot_state.FILE_NAMES:
        files[name] = boot_state.encode(boot_state.FACTORY)
    files["edgenode.toml"] = here / "edgenode.toml"
    for path, content in files.items():
        if isinstance(content, Path) and not content.is_file():
            raise BuildError(f"{content} is missing, which becomes {path} on the boot partition")
    return files


def slot_files(
    root: Path, here: Path, initrd: Path, *, disk: str, work: Path, epoch: int
) -> dict[str, Path | bytes]:
    """Files of a slot's boot partition, by path: the kernel with what it needs to find its root."""
    kernels = sorted((root / "boot").glob("vmlinuz-*"))
    if len(kernels) != 1:
        raise BuildError(f"{root / 'boot'} holds {len(kernels)} kernels, not one")
    script = boot_script(here / "boot/slot.scr.txt", {"@DISK@": disk}, work / "slot.scr", epoch)
    return {"Image": kernels[0], "initrd.img": initrd, "slot.scr": script}


def boot_script(source: Path, values: Mapping[str, str], out: Path, epoch: int) -> Path:
    """A script in the form in which U-Boot sources it."""
    text = source.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(name, value)
    plain = out.with_suffix(".txt")
    plain.write_text(text, encoding="utf-8")
    run(
        ["mkimage", "-A", "arm64", "-T", "script", "-C", "none", "-n", source.name,
         "-d", plain, out],
        log=out.with_suffix(".log"),
        environment={"SOURCE_DATE_EPOCH": str(epoch)},
    )  # fmt: skip
    return out


def _device_trees(root: Path, vendor: str) -> Path:
    found = sorted((root / "usr/lib").glob(f"linux-image-*/{vendor}"))
    if len(found) != 1:
        raise BuildError(f"the kernel package has {len(found)} folders of {vendor} device trees")
    return found[0]
