"""Files that are made once: whole or not at all, and never over another one."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from edgenode.storage.directory import sync_directory


def write_new(path: Path, text: str, mode: int) -> None:
    """Create a file of ASCII text durably: whole or not at all, and never over another one.

    Raises:
        FileExistsError: There is a file already.
        OSError: It cannot be written.
    """
    # Written under another name and linked: whoever opens the path finds the whole text, and a
    # file that is there stays. rename would replace it.
    draft = path.parent / f".{path.name}.{secrets.token_hex(4)}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        os.link(draft, path)
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()
    sync_directory(path.parent)
