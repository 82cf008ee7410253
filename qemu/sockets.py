"""Unix sockets in directories with long names.

An address of a Unix socket holds 107 bytes, and a checkout or a test's directory may lie deeper.
The kernel also finds a socket by its directory's descriptor, whose path is short.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path


def connect(path: Path, timeout: float) -> socket.socket:
    """A stream connection to the socket at `path`.

    Args:
        path: Where it is.
        timeout: Seconds for this and for each operation on the connection.

    Raises:
        OSError: Nobody listens there.
    """
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout)
        with _short(path) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def listen(path: Path) -> socket.socket:
    """A socket that listens at `path`, in place of what a dead process may have left there.

    Raises:
        OSError: The directory is missing or not ours.
    """
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    try:
        with _short(path) as address:
            listening.bind(address)
        listening.listen()
    except BaseException:
        listening.close()
        raise
    return listening


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
