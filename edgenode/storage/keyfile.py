"""Key files: 32 secret bytes as one line of 64 hexadecimal digits, for their owner's eyes only."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Literal

from edgenode.storage.new_file import write_new

KEY_BYTES = 32

Kind = Literal["member", "ward"]

# A key, a comment and some blank lines; nothing longer is a key file.
_FILE_BYTES_LIMIT = 4096
_KEY = re.compile(r"[0-9a-fA-F]{64}")

_OTHERS = 0o077
"""Mode bits by which others than the owner could open a file."""
_CREDENTIALS_OTHERS = 0o037

_REMEDIES: dict[Kind, str] = {
    "member": "make it with: edgenode key create",
    "ward": (
        "copy it from another node of the ward; on the first node make it with: "
        "edgenode key create ward"
    ),
}
"""Where a key that is missing comes from."""


class KeyFileError(Exception):
    """A key file cannot be used or written; the text says which, why, and what to do."""


def write_key(path: Path, key: bytes, comment: str) -> None:
    """Create a key file, durably, and never over another one.

    Args:
        path: The file; its directory must exist.
        key: The 32 secret bytes.
        comment: One line that says what the key is.

    Raises:
        KeyFileError: There is a file already, or it cannot be written.
    """
    assert len(key) == KEY_BYTES
    assert "\n" not in comment
    try:
        write_new(path, f"# {comment}\n{key.hex()}\n", 0o600)
    except FileExistsError:
        raise KeyFileError(
            f"{path}: there is a file already, and a lost key cannot be made again; move it away "
            "if it is not needed"
        ) from None
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be written: {error.strerror}") from None


def read_key(path: Path, kind: Kind = "member", *, credential: bool = False) -> bytes:
    """Read the 32 secret bytes of a key file.

    Args:
        path: The file.
        kind: Which key it holds; a missing one is reported with what to do.
        credential: Whether systemd made the file for this service. Its reader is then named by an
            access list, whose mask stands where the mode has the group's bits (acl(5)).

    Raises:
        KeyFileError: It is missing, others than its owner may open it, or it holds no key.
    """
    try:
        # O_NONBLOCK: a FIFO under this name must not hold up the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise KeyFileError(f"{path}: is no regular file")
            if status.st_mode & (_CREDENTIALS_OTHERS if credential else _OTHERS):
                raise KeyFileError(
                    f"{path}: has mode {stat.S_IMODE(status.st_mode):04o}, so that others than "
                    f"its owner may open it; run: chmod 600 {path}"
                )
            raw = file.read(_FILE_BYTES_LIMIT + 1)
    except FileNotFoundError:
        raise KeyFileError(
            f"{path}: there is no such file; {_REMEDIES[kind]} --file {path}"
        ) from None
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read: {error.strerror}") from None
    return _key_in(path, raw)


def _key_in(path: Path, raw: bytes) -> bytes:
    # The content never appears in an error: errors go to logs.
    text = raw.decode("ascii", errors="replace")
    lines = [line.strip() for line in text.splitlines()]
    keys = [line for line in lines if line and not line.startswith("#")]
    if len(raw) > _FILE_BYTES_LIMIT or len(keys) != 1 or not _KEY.fullmatch(keys[0]):
        raise KeyFileError(
            f"{path}: is no key file; it must hold one line of {2 * KEY_BYTES} hexadecimal digits "
            "and else only comments that begin with #"
        )
    return bytes.fromhex(keys[0])
