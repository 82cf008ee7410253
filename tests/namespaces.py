"""Work in a network namespace."""

import ctypes
from contextlib import contextmanager
from pathlib import Path

_CLONE_NEWNET = 0x40000000  # linux/sched.h


@contextmanager
def inside(namespace):
    """This thread works in a network namespace while the block lasts."""
    spaces = Path("/proc/thread-self/ns/net"), Path(f"/run/netns/{namespace}")
    with spaces[0].open() as own, spaces[1].open() as other:
        _enter(other)
        try:
            yield
        finally:
            _enter(own)


def _enter(namespace):
    # os.setns is of Python 3.12.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
