"""Keeps processes running, as systemd does on the appliance: starts, restarts, stops them."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

_log = logging.getLogger(__name__)

RESTART_PAUSE = 0.2
"""Seconds before a process that ended is started again (systemd's default is 0.1)."""

HOPELESS = 5
"""Exit status of an unusable file: to start again would not help, so nobody does."""

STOP_PATIENCE = 10.0
"""Seconds between SIGTERM and SIGKILL."""

MORTAL = ("setpriv", "--pdeathsig", "KILL", "--")
"""In front of a command: the kernel kills the process when the thread that started it ends, so that
nothing outlives a launcher that was itself killed. A part of util-linux, which every Debian has."""


@dataclass(slots=True)
class Unit:
    """A process to keep running.

    Attributes:
        name: Name, such as "bed-1/miner".
        command: Program and arguments.
        log: File that its output is appended to.
        process: The running process, if there is one.
        starts: How often it was started.
        failed: Why it is not started again, if it is not.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    wanted: bool = True
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    restart_at: float = 0.0
    failed: str | None = None


class Supervisor:
    """Starts units and starts again those that end, until told otherwise."""

    def __init__(self) -> None:
        self._units: dict[str, Unit] = {}
        self._lock = threading.RLock()
        # Units die with the thread that started them, so one thread starts them all and stays.
        self._starter = ThreadPoolExecutor(1, "starter")
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._thread.start()

    def start(self, unit: Unit) -> None:
        """Run a unit from now on; one that was stopped runs again."""
        with self._lock:
            self._units[unit.name] = unit
            unit.wanted, unit.failed = True, None
            if unit.process is None:
                self._spawn(unit)

    def unit(self, name: str) -> Unit:
        """The unit with this name."""
        return self._units[name]

    def units(self) -> list[Unit]:
        """All units."""
        return list(self._units.values())

    def kill(self, name: str) -> None:
        """`kill -9`; the unit is started again."""
        with self._lock:
            process = self._units[name].process
            if process is not None:
                process.kill()

    def stop(self, names: Sequence[str], *, kill: bool = False) -> None:
        """End units, in order or by `kill -9`, and do not start them again."""
        with self._lock:
            units = [self._units[name] for name in names]
            for unit in units:
                unit.wanted = False
                if unit.process is not None:
                    with contextlib.suppress(ProcessLookupError):
                        unit.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            limit = time.monotonic() + STOP_PATIENCE
            for unit in units:
                _reap(unit, limit)

    def close(self) -> None:
        """End everything."""
        self._ending.set()
        self._thread.join()
        self.stop(list(self._units))
        self._starter.shutdown()

    def failures(self) -> list[str]:
        """Units that ended for good, with the reason."""
        return [f"{u.name}: {u.failed}" for u in self._units.values() if u.failed]

    def _spawn(self, unit: Unit) -> None:
        self._starter.submit(_start_process, unit).result()

    def _watch(self) -> None:
        while not self._ending.wait(0.05):
            with self._lock:
                for unit in self._units.values():
                    self._look_at(unit)

    def _look_at(self, unit: Unit) -> None:
        if unit.process is not None and (status := unit.process.poll()) is not None:
            unit.process = None
            unit.restart_at = time.monotonic() + RESTART_PAUSE
            if status == HOPELESS:
                unit.wanted = False
                unit.failed = f"ended with status {status}; see {unit.log}"
            elif unit.wanted:
                _log.info("%s ended with status %d and is started again", unit.name, status)
        if unit.process is None and unit.wanted and time.monotonic() >= unit.restart_at:
            try:
                self._spawn(unit)
            except OSError as error:
                unit.wanted, unit.failed = False, f"cannot be started: {error}"


def _start_process(unit: Unit) -> None:
    unit.starts += 1
    unit.log.parent.mkdir(parents=True, exist_ok=True)
    with unit.log.open("ab") as log:
        unit.process = subprocess.Popen(
            [*MORTAL, *unit.command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **unit.environment},
            # A Ctrl-C at the terminal is the launcher's; it ends its units in order.
            start_new_session=True,
        )


def _reap(unit: Unit, limit: float) -> None:
    if unit.process is None:
        return
    try:
        unit.process.wait(max(0.0, limit - time.monotonic()))
    except subprocess.TimeoutExpired:
        unit.process.kill()
        unit.process.wait()
    unit.process = None
