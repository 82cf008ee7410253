"""Runs a module as a service that systemd confines: no system call that sets the clock.

    python -m tests.gossip.sandbox edgenode.services.gossip --config edgenode.toml

systemd's ProtectClock=yes answers adjtimex with EPERM, also where it would only read. This does the
same with a seccomp filter of its own, so that a test sees on any machine what a service on the
appliance sees, whatever that machine's own clock is like.
"""

import ctypes
import errno
import platform
import runpy
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
CALLS = {"x86_64": {"adjtimex": 159, "clock_adjtime": 305},
         "aarch64": {"adjtimex": 171, "clock_adjtime": 266}}  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def without_the_clock():
    """Confine this process, for good."""
    numbers = list(CALLS[platform.machine()].values())
    lines = [(LOAD_WORD, 0, 0, 0)]  # the number of the call
    for place, number in enumerate(numbers):
        lines.append((JUMP_IF_EQUAL, len(numbers) - place, 0, number))
    lines += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, REFUSE)]
    code = b"".join(struct.pack("HBBI", *line) for line in lines)
    libc = ctypes.CDLL(None, use_errno=True)
    program = _Program(len(lines), code)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    done = libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)
    assert done == 0, ctypes.get_errno()


if __name__ == "__main__":
    without_the_clock()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
