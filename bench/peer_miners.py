"""How fast other miners hash: their own benchmark mode, with what they say held against CPU time.

pooler's minerd and cpuminer-opt print a rate for a thread every few seconds, by the wall clock. On
a loaded machine that is too little for them, so it is multiplied by the wall time and divided by
the CPU time that their process used since the line before.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

# "thread 0: 62966576 hashes, 12612 khash/s" and "Thread 0, CPU 0: 41.37 Mh/s".
_RATE = re.compile(rb"[Tt]hread \d+.*?([\d.]+) ?([kMG]?)(?:hash|h)/s")
_UNIT = {b"": 1.0, b"k": 1e3, b"M": 1e6, b"G": 1e9}
# They begin with trials of some milliseconds, which a clock of hundredths cannot time.
_ENOUGH_SECONDS = 1.0
_TICK = os.sysconf("SC_CLK_TCK")

_OPTIONS = {
    "minerd": ["-a", "sha256d", "--benchmark", "-t", "1"],
    "cpuminer-opt": ["-a", "sha256d", "--benchmark", "-t", "1", "--no-color", "--hash-meter"],
}
MINERS = tuple(_OPTIONS)
"""The miners whose options and output are known here."""


def rate(miner: str, program: Path, reports: int) -> float:
    """Hashes per CPU second of one thread, the best of some reports.

    Args:
        miner: One of MINERS.
        program: Its binary.
        reports: How many to wait for; each takes some five seconds.

    Raises:
        RuntimeError: It ended by itself or printed no rate.
    """
    # A terminal, because to a pipe they would write when their buffers are full.
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [program, *_OPTIONS[miner]], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    best, before = 0.0, (time.monotonic(), 0.0)
    try:
        for line in _lines(ours):
            if (match := _RATE.search(line)) is None:
                continue
            now = time.monotonic(), _cpu_seconds(process.pid)
            wall, cpu = now[0] - before[0], now[1] - before[1]
            before = now
            if cpu < _ENOUGH_SECONDS:
                continue
            best = max(best, float(match[1]) * _UNIT[match[2]] * wall / cpu)
            reports -= 1
            if reports == 0:
                return best
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(ours)
    raise RuntimeError(f"{program} ended before it had reported often enough")


def _lines(terminal: int) -> Iterator[bytes]:
    rest = b""
    while True:
        try:
            read = os.read(terminal, 4096)
        except OSError:  # how Linux says that the other end of a terminal is closed
            return
        *lines, rest = (rest + read).split(b"\n")
        yield from lines


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK
