"""What the boot partitions of all boards are made of, and how U-Boot's scripts are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgenode.appliance import boot_state
from image.commands import BuildError, run

Files = dict[str, Path | bytes]
"""Contents of a boot partition, or where they are, by path."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the contents come from.

    Attributes:
        root: The finished root file system; kernel, device trees and firmware are packages in it.
        initrd: The initramfs.
        here: The folder image/ of the checkout.
        work: Folder for what is made on the way.
        epoch: Unix seconds for the headers of boot scripts.
    """

    root: Path
    initrd: Path
    here: Path
    work: Path
    epoch: int


def common_files(sources: Sources) -> Files:
    """What the first partition of every board has: the boot state and the settings."""
    files: Files = {name: boot_state.encode(boot_state.FACTORY) for name in boot_state.FILE_NAMES}
    files["edgenode.toml"] = sources.here / "edgenode.toml"
    return files


def checked(files: Files) -> Files:
    """The same files.

    Raises:
        BuildError: One of them is not there.
    """
    for path, content in files.items():
        if isinstance(content, Path) and not content.is_file():
            raise BuildError(f"{content} is missing, which becomes {path} on the boot partition")
    return files


def kernel(root: Path) -> Path:
    """The kernel.

    Raises:
        BuildError: There is not exactly one.
    """
    kernels = sorted((root / "boot").glob("vmlinuz-*"))
    if len(kernels) != 1:
        raise BuildError(f"{root / 'boot'} holds {len(kernels)} kernels, not one")
    return kernels[0]


def device_trees(root: Path, vendor: str) -> Path:
    """The folder of a vendor's device trees.

    Raises:
        BuildError: The kernel package has none, or several.
    """
    found = sorted((root / "usr/lib").glob(f"linux-image-*/{vendor}"))
    if len(found) != 1:
        raise BuildError(f"the kernel package has {len(found)} folders of {vendor} device trees")
    return found[0]


def filled_in(source: Path, values: Mapping[str, str]) -> str:
    """The text of a file with other texts in place of some.

    Raises:
        BuildError: One of those is not in it.
    """
    text = source.read_text(encoding="utf-8")
    for name, value in values.items():
        if name not in text:
            raise BuildError(
                f"{source} has no {name!r} to replace; image/*.py says what stands for it"
            )
        text = text.replace(name, value)
    return text


def boot_script(text: str, name: str, out: Path, epoch: int) -> Path:
    """A script in the form in which U-Boot sources it; `name` stands in its header."""
    plain = out.with_suffix(".txt")
    plain.write_text(text, encoding="utf-8")
    run(
        ["mkimage", "-A", "arm64", "-T", "script", "-C", "none", "-n", name, "-d", plain, out],
        log=out.with_suffix(".log"),
        environment={"SOURCE_DATE_EPOCH": str(epoch)},
    )
    return out
