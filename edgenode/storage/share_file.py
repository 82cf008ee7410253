"""The file in which a pool's shares outlast a restart."""

from __future__ import annotations

import os
from pathlib import Path

from edgenode.storage.directory import sync_directory


def read_shares(path: Path, limit: int) -> bytes | None:
    """What was written last; None if nothing was.

    Args:
        path: The file.
        limit: Bytes that it may have; of a longer one so many and one more are returned.

    Raises:
        OSError: It cannot be read.
    """
    try:
        # O_NONBLOCK: a FIFO under this name must not hold up the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(limit + 1)


def write_shares(path: Path, data: bytes) -> None:
    """Replace the file: after a power cut it holds this or what it held before.

    Once a block at most, as often as the ledger itself goes to the disk.

    Raises:
        OSError: It cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)
    sync_directory(path.parent)
