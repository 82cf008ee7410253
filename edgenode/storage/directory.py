"""Directories on a disk whose power may fail."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def sync_directory(directory: Path) -> None:
    """Make the names in a directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def give_to_owner(directory: Path) -> None:
    """Where root has worked in a service's directory: give its owner the files that are root's.

    Raises:
        OSError: the directory cannot be looked at, or a file not given away.
    """
    owner = directory.stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return
    for file in directory.iterdir():
        found = file.lstat()
        # A second link, or a symbolic one, may be any file of root's.
        if found.st_uid == 0 and stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
            os.chown(file, owner.st_uid, owner.st_gid, follow_symlinks=False)
