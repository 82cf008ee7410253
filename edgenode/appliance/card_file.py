"""Files on the card's FAT partition, read whole, with a bound on their size."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class CardFileError(ValueError):
    """A file cannot be used; the text says why, and not which."""


def read_card_file(path: Path, limit: int) -> bytes:
    """The bytes of a regular file.

    Args:
        path: The file.
        limit: Its largest size, in bytes.

    Raises:
        FileNotFoundError: There is none.
        CardFileError: It cannot be read, is larger, or is no regular file.
    """
    try:
        # O_NONBLOCK: a FIFO under this name must not hold up the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise CardFileError("is no regular file")
            raw = file.read(limit + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CardFileError(f"cannot be read: {error.strerror}") from None
    if len(raw) > limit:
        raise CardFileError(f"more than {limit} bytes are too much for this file")
    return raw


def as_text(raw: bytes) -> str:
    """Text in UTF-8, with or without the mark that Windows editors put before it.

    Raises:
        CardFileError: It is not UTF-8.
    """
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CardFileError(
            f"not UTF-8 at byte {error.start}; save it as UTF-8, with a plain text editor"
        ) from None
