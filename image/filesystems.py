"""File systems made from folders without mounting anything, the same bytes each time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from image.commands import BuildError, run

_SQUASHFS_BLOCK = 256 * 1024
"""Bytes that are compressed together: twice the default makes the file a twentieth smaller, and a
page fault of a box reads no more than a card gives in some milliseconds."""


def squashfs(folder: Path, out: Path, epoch: int, log: Path) -> None:
    """A compressed read-only file system; all times become `epoch` (Unix seconds).

    Raises:
        BuildError: mksquashfs failed.
    """
    out.unlink(missing_ok=True)
    run(
        ["mksquashfs", folder, out, "-noappend", "-no-progress", "-comp", "zstd",
         "-Xcompression-level", "15", "-b", str(_SQUASHFS_BLOCK), "-xattrs",
         "-all-time", str(epoch), "-mkfs-time", str(epoch)],
        log=log,
    )  # fmt: skip


def fat(files: Mapping[str, Path | bytes], out: Path, size: int, label: str, epoch: int) -> None:
    """A FAT file system with these files.

    Args:
        files: Contents, or where they are, by path in the file system.
        out: The file that becomes it.
        size: Its size in bytes.
        label: Its name, at most eleven capital letters.
        epoch: Unix seconds that all files get.

    Raises:
        BuildError: It does not fit, or a program failed.
    """
    log = out.with_suffix(".log")
    out.unlink(missing_ok=True)
    with out.open("wb") as image:
        image.truncate(size)
    # The serial number would otherwise be the time.
    run(["mkfs.vfat", "--invariant", "-i", "ED9E0001", "-n", label, out], log=log)
    # mtools takes the time from this variable: of entries and of folders.
    environment = {"MTOOLS_SKIP_CHECK": "1", "SOURCE_DATE_EPOCH": str(epoch)}
    staging = out.with_suffix(".file")
    for folder in sorted({str(parent) for name in files for parent in PurePosixPath(name).parents}):
        if folder != ".":
            run(["mmd", "-i", out, f"::{folder}"], log=log, environment=environment)
    for name in sorted(files):
        content = files[name]
        if isinstance(content, bytes):
            staging.write_bytes(content)
        source = staging if isinstance(content, bytes) else content
        try:
            run(["mcopy", "-i", out, source, f"::{name}"], log=log, environment=environment)
        except BuildError as error:
            raise BuildError(f"{name} could not be put into {out.name}: {error}") from None
    staging.unlink(missing_ok=True)


def ext4(out: Path, size: int, label: str, uuid: str, epoch: int) -> None:
    """An empty ext4 of `size` bytes.

    Raises:
        BuildError: mke2fs failed.
    """
    out.unlink(missing_ok=True)
    run(
        ["mke2fs", "-q", "-t", "ext4", "-L", label, "-U", uuid, "-m", "1",
         "-E", f"hash_seed={uuid},lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0",
         out, f"{size // 1024}k"],
        log=out.with_suffix(".log"),
        environment={"E2FSPROGS_FAKE_TIME": str(epoch)},
    )  # fmt: skip
