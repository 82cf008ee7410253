"""Reading the ward's genesis file from disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edgenode.ledger.genesis import Genesis, GenesisError
from edgenode.ledger.genesis_file import parse_genesis

# 320 members and 8 models make some 40 kB.
_FILE_BYTES_LIMIT = 4 << 20


def read_genesis(path: Path) -> Genesis:
    """Read a genesis file and check its constants.

    Raises:
        GenesisError: The file cannot be read, or a constant is unusable; the path is named.
    """
    try:
        # O_NONBLOCK: a FIFO under this name must not hold up the start.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise GenesisError(f"{path}: is no regular file")
            raw = file.read(_FILE_BYTES_LIMIT + 1)
    except FileNotFoundError:
        raise GenesisError(
            f"{path}: there is no such file; get it from the ward's founder, or found a ward with "
            "`edgenode genesis create`"
        ) from None
    except OSError as error:
        raise GenesisError(f"{path}: cannot be read: {error.strerror}") from None
    if len(raw) > _FILE_BYTES_LIMIT:
        raise GenesisError(f"{path}: more than {_FILE_BYTES_LIMIT} bytes are no genesis file")
    try:
        return parse_genesis(raw.decode())
    except UnicodeDecodeError as error:
        raise GenesisError(f"{path}: not UTF-8 at byte {error.start}") from None
    except GenesisError as error:
        raise GenesisError(f"{path}: {error}") from None
