"""Files of a box, put in place so that a power cut leaves the old one or the new one."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from edgenode.storage.directory import sync_directory

_SUFFIX = ".edgenode-setup"


def replace_file(path: Path, content: bytes, mode: int) -> bool:
    """Write a file durably, whole or not at all; one that is as it should be is left alone.

    Returns:
        Whether anything was written.

    Raises:
        OSError: It cannot be written; the file is as it was.
    """
    # One fixed name, so that what a power cut leaves is found at the next start.
    draft = path.parent / f".{path.name}{_SUFFIX}"
    if _is_as_it_should_be(path, content, mode):
        draft.unlink(missing_ok=True)
        return False
    make_directory(path.parent)
    _write(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, content, mode)
    try:
        draft.replace(path)
    except OSError as error:
        draft.unlink()
        if error.errno != errno.EBUSY:
            raise
        # A single file that is bind-mounted cannot be replaced. It is written over; a power cut
        # in between leaves a part, which is found different and written again at the next start.
        _write(path, os.O_WRONLY | os.O_TRUNC, content, mode)
    sync_directory(path.parent)
    return True


def remove_file(path: Path) -> None:
    """Take a file away, if it is there.

    Raises:
        OSError: It cannot be taken away.
    """
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync_directory(path.parent)


def make_directory(path: Path, mode: int = 0o755) -> None:
    """Make a directory and those above it, where they are missing, so that they stay.

    Raises:
        OSError: It cannot be made.
    """
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(mode, exist_ok=True)
    path.chmod(mode)  # whatever the umask is: sshd and the node must be able to enter
    sync_directory(path.parent)


def _is_as_it_should_be(path: Path, content: bytes, mode: int) -> bool:
    try:
        status = path.lstat()
        return (
            stat.S_ISREG(status.st_mode)
            and stat.S_IMODE(status.st_mode) == mode
            and status.st_uid == os.geteuid()
            and status.st_size == len(content)
            and path.read_bytes() == content
        )
    except OSError:  # missing, or it cannot be read: a new one is written
        return False


def _write(path: Path, flags: int, content: bytes, mode: int) -> None:
    # 0600 until the mode is set: a secret is never readable, not even for a moment.
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
