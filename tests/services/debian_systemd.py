"""Debian's python3-systemd for a process of the tests, and a journald that keeps what it gets."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.conftest import missing, require_root

LIBRARY = Path("/usr/lib/python3/dist-packages/systemd")  # PyPI has sources only


def with_debians_library(tmp_path):
    """An environment in which `import systemd` finds Debian's package, and no other of Debian's."""
    if not list(LIBRARY.glob("_daemon.cpython-311-*.so")):
        missing("python3-systemd for Python 3.11 is not installed")
    site = tmp_path / "site"
    site.mkdir(exist_ok=True)
    if not (site / "systemd").exists():
        (site / "systemd").symlink_to(LIBRARY)
    return {**os.environ, "PYTHONPATH": f"{site}:{Path.cwd()}"}


def run_in_journal(tmp_path, program):
    """Run a program as systemd does, its standard error connected to the journal.

    journald's socket has a fixed place, so the program gets a /run of its own in which ours stands.

    Returns:
        The exit status, the journal's entries and what came on standard error.
    """
    require_root("give a process a /run of its own")
    environment = with_debians_library(tmp_path)
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald,
        (tmp_path / "stderr").open("w+") as stderr,
    ):
        journald.bind(str(tmp_path / "socket"))
        journald.settimeout(0)
        status = os.fstat(stderr.fileno())
        environment["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
        script = (
            "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && "
            'ln -s "$0" /run/systemd/journal/socket && exec "$@"'
        )
        ran = subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, tmp_path / "socket",
             sys.executable, "-c", program],
            env=environment, stderr=stderr, check=False, timeout=60,
        )  # fmt: skip
        stderr.seek(0)
        return ran.returncode, list(_entries(journald)), stderr.read()


def _entries(journald):
    while True:
        try:
            raw = journald.recv(1 << 20)
        except BlockingIOError:
            return
        yield dict(_fields(raw))


def _fields(raw):
    """The fields of an entry in systemd's native journal protocol."""
    while raw:
        head, _, raw = raw.partition(b"\n")
        name, equals, value = head.partition(b"=")
        if not equals:  # a value with line breaks: its length comes first
            length = int.from_bytes(raw[:8], "little")
            value, raw = raw[8 : 8 + length], raw[9 + length :]
        yield name.decode(), value.decode()
