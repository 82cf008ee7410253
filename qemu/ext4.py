"""A box's data partition as a power cut left it: mended as its next boot would, and read.

e2fsprogs do both on a file, without root and without mounting anything.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from qemu import disk
from qemu.errors import QemuError
from qemu.tools import find, need, run

_MENDED = 1  # e2fsck's bit for "errors corrected", which a replayed journal may set


class FileSystemError(QemuError):
    """The journal did not put the file system right; the message is what e2fsck says."""


class NotThereError(QemuError):
    """The file system has no such directory."""


def take_out(image: Path, number: int, path: Path) -> Path:
    """Copy a partition of a raw disk and replay its journal, as mounting it would.

    Args:
        image: The disk, such as `Replay.image`; it is only read.
        number: The partition, as it is now: a box grows its last one at its first boot.
        path: The file to make (sparse).

    Returns:
        `path`.

    Raises:
        FileSystemError: There is something wrong that a journal should have prevented.
        QemuError: There is no such partition.
    """
    need(["e2fsck"])
    disk.extract(image, disk.partition(image, number), path)
    _check(path, "-p", allowed=_MENDED)  # the journal, and what a journal leaves to be mended
    _check(path, "-f", "-n", allowed=0)  # all of it, and nothing may be wrong any more
    return path


def copy_out(file_system: Path, directory: str, target: Path) -> Path:
    """Copy a directory out of a file system.

    Args:
        file_system: A raw file (see `take_out`).
        directory: Which, from its root on.
        target: Where to put it; must not be there yet.

    Returns:
        The copy of the directory.

    Raises:
        NotThereError: It is not there.
    """
    target.mkdir(parents=True)
    said = run(["debugfs", "-R", f'rdump "{directory}" "{target.absolute()}"', file_system])
    copy = target / Path(directory).name
    if not copy.is_dir():
        raise NotThereError(f"{file_system} has no directory {directory} {said}".strip())
    return copy


def _check(file_system: Path, *options: str, allowed: int) -> None:
    program = find("e2fsck")
    assert program is not None
    done = subprocess.run(
        [program, *options, str(file_system)],
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode & ~allowed:
        raise FileSystemError(
            f"e2fsck {' '.join(options)} ended with status {done.returncode}:\n"
            f"{(done.stdout + done.stderr).strip()}"
        )
