"""A QEMU process and its monitor."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from qemu.errors import GuestEndedError, PatienceError, QemuError
from qemu.patience import PROCESS_PATIENCE, await_it
from qemu.qmp import Monitor
from qemu.tools import find

MORTAL = ("setpriv", "--pdeathsig", "KILL", "--")
"""In front of a command: it dies with the thread that started it, so that a test that was itself
killed leaves no guest behind."""

MONITOR_SOCKET = "monitor.sock"
MONITOR = (
    *("-chardev", f"socket,id=monitor,path={MONITOR_SOCKET},server=on,wait=off"),
    *("-mon", "chardev=monitor,mode=control"),
)
"""QEMU's words for its monitor."""

_LOG = "qemu.log"
_FORWARDED = re.compile(
    r"^\s*TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)\s+([0-9.]+)\s+(\d+)\s", re.MULTILINE
)


class QemuProcess:
    """QEMU, once or several times one after another, in a directory of its own.

    Attributes:
        name: For messages.
        directory: Where its sockets and logs are.
    """

    def __init__(self, name: str, directory: Path, *, mortal: bool = True) -> None:
        """Nothing runs yet.

        Args:
            name: For messages.
            directory: Made if it is missing.
            mortal: Whether QEMU ends with the thread that starts it.
        """
        self.name = name
        self.directory = directory
        self._mortal = mortal
        self._process: subprocess.Popen[bytes] | None = None
        self._monitor: Monitor | None = None

    def start(self, command: Sequence[str], descriptors: Sequence[int] = ()) -> None:
        """Start it, and connect to its monitor.

        Args:
            command: QEMU's, with the words of `MONITOR`; relative paths begin at the directory.
            descriptors: Open files that it inherits.

        Raises:
            QemuError: It runs already, or ends at once; the message has what QEMU said.
        """
        if self.running:
            raise QemuError(f"{self.name} is on already")
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / MONITOR_SOCKET).unlink(missing_ok=True)
        program = find(command[0])
        assert program is not None, "the caller has seen to it"
        with (self.directory / _LOG).open("wb") as log:
            self._process = subprocess.Popen(
                [*(MORTAL if self._mortal else ()), program, *command[1:]],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=descriptors,
                # Ctrl-C is for the harness, which ends its guests in order.
                start_new_session=True,
            )
        try:
            self._monitor = await_it(
                self._try_monitor, PROCESS_PATIENCE, lambda: f"QEMU does not answer; {self.said()}"
            )
        except BaseException:
            self.kill()
            raise

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process.

        Raises:
            GuestEndedError: It does not run.
        """
        if self._process is None or not self.running:
            raise GuestEndedError(self.ended() or f"{self.name} is off")
        return self._process.pid

    @property
    def monitor(self) -> Monitor:
        """Its monitor.

        Raises:
            GuestEndedError: It does not run.
        """
        if self._monitor is None or not self.running:
            raise GuestEndedError(self.ended() or f"{self.name} is off")
        return self._monitor

    def forwarded_port(self, port: int, address: str | None = None) -> int:
        """Port of 127.0.0.1 that leads to a port of a guest.

        Args:
            port: The guest's.
            address: The guest's; None where there is one guest only.

        Raises:
            QemuError: There is none.
            GuestEndedError: QEMU does not run.
        """
        said = str(self.monitor.execute("human-monitor-command", command_line="info usernet"))
        for found in _FORWARDED.finditer(said):
            if int(found[3]) == port and address in {None, found[2]}:
                return int(found[1])
        raise QemuError(f"{self.name} forwards nothing to port {port} of {address}:\n{said}")

    def kill(self) -> None:
        """End it by SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._close_monitor()

    def wait(self, patience: float) -> None:
        """Wait until it ends by itself.

        Raises:
            PatienceError: It does not.
        """
        if self._process is not None:
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired as error:
                raise PatienceError(f"{self.name} stayed on for {patience:.0f} s") from error
        self._close_monitor()

    def quit(self) -> None:
        """End it in order: all that it was given to write is written.

        Raises:
            PatienceError: It does not end.
        """
        if self.running:
            with contextlib.suppress(GuestEndedError):
                self.monitor.execute("quit")
            self.wait(PROCESS_PATIENCE)

    def ended(self) -> str | None:
        """Why it does not run; None as long as it does."""
        if self._process is None:
            return f"{self.name} was never on"
        status = self._process.poll()
        if status is None:
            return None
        return f"{self.name}'s QEMU ended with status {status}; {self.said()}"

    def said(self) -> str:
        """What QEMU itself had to say."""
        log = self.directory / _LOG
        said = log.read_text(errors="replace").strip() if log.exists() else ""
        return f"it said: {said[-2000:]}" if said else "it said nothing"

    def _try_monitor(self) -> Monitor | None:
        if (ended := self.ended()) is not None:
            raise GuestEndedError(ended)
        try:
            return Monitor(self.directory / MONITOR_SOCKET)
        except (OSError, GuestEndedError):
            return None

    def _close_monitor(self) -> None:
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None
