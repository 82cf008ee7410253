"""What the system says of its clock: the kernel, the time service, the boot, the build."""

from __future__ import annotations

import ctypes
import errno
import os
import time
from functools import cache
from pathlib import Path

import edgenode
from edgenode.gossip.clock import Reading

TIMESYNC_FILE = Path("/run/systemd/timesync/synchronized")
"""systemd-timesyncd makes it when it first has set the clock; /run begins empty at each boot."""

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")

EPOCH_FILE = Path("/usr/lib/clock-epoch")
"""Its modification time is the least that systemd sets the clock to: the image's build time."""

# adjtimex(2): returned, and set in `status`, while nothing disciplines the clock. The kernel sets
# STA_UNSYNC at the start, when the clock is set by hand, and nine hours after the last correction.
_TIME_ERROR = 5
_STA_UNSYNC = 0x40


class _Timex(ctypes.Structure):
    """`struct timex` of <sys/timex.h>, with `modes` 0: nothing is set, everything is read."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        # The rest is not looked at: 6 words, a timeval, 8 words and 11 words of padding at most.
        ("rest", ctypes.c_long * 32),
    )


def kernel_synchronised() -> bool | None:
    """Whether something keeps the kernel's clock right; None where it may not be asked.

    A service with ProtectClock=yes may not: systemd's filter of system calls refuses adjtimex.
    """
    state = _Timex()
    result = _libc().adjtimex(ctypes.byref(state))
    if result < 0:
        code = ctypes.get_errno()
        if code in {errno.EPERM, errno.EACCES, errno.ENOSYS}:
            return None
        raise OSError(code, os.strerror(code))
    return result != _TIME_ERROR and not state.status & _STA_UNSYNC


def is_synchronised(timesync: Path = TIMESYNC_FILE) -> bool:
    """Whether the kernel or systemd-timesyncd says that the clock is synchronised."""
    return bool(kernel_synchronised()) or timesync.exists()


def read_clocks() -> Reading:
    """The clocks now."""
    since_boot = time.clock_gettime(time.CLOCK_BOOTTIME)
    return Reading(time.time(), since_boot, _boot_id(), is_synchronised())


def build_time() -> float:
    """When the package, or the image that holds it, was made: in Unix seconds."""
    times = [Path(edgenode.__file__).stat().st_mtime]
    if EPOCH_FILE.exists():
        times.append(EPOCH_FILE.stat().st_mtime)
    return max(times)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


@cache
def _boot_id() -> str:
    try:
        return BOOT_ID_FILE.read_text(encoding="ascii").strip()
    except OSError:  # ProcSubset=pid hides it
        return ""
