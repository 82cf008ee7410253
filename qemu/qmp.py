"""QEMU's monitor: commands and events as lines of JSON on a Unix socket.

https://www.qemu.org/docs/master/interop/qmp-spec.html. The library of QEMU's own people is a module
of a package `qemu` as well, and two packages of one name do not go together.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections import deque
from pathlib import Path
from typing import Any

from qemu import sockets
from qemu.errors import GuestEndedError, PatienceError, QemuError
from qemu.patience import PROCESS_PATIENCE, Clock

Message = dict[str, Any]

_MOST_BYTES = 1 << 22
"""Of one message. The longest, a list of all commands or devices, have some 100 kB."""

_MOST_EVENTS = 10_000
"""Kept until somebody asks for them."""


class MonitorError(QemuError):
    """QEMU refused a command; the message is its reason."""


class Monitor:
    """One connection to a monitor, which serves one client at a time."""

    def __init__(self, path: Path) -> None:
        """Connect.

        Args:
            path: The socket.

        Raises:
            OSError: Nobody listens there (yet).
            QemuError: What answers is no monitor.
        """
        self._lock = threading.Lock()
        self._events: deque[Message] = deque(maxlen=_MOST_EVENTS)
        self._socket = sockets.connect(path, PROCESS_PATIENCE)
        self._received = bytearray()
        try:
            while "QMP" not in (message := self._read(PROCESS_PATIENCE)):
                # What happened while QEMU started may be told before it greets.
                if "event" not in message:
                    raise QemuError(f"{path} is not the socket of a QEMU monitor")
                self._events.append(message)
            self.execute("qmp_capabilities")
        except BaseException:
            self._socket.close()
            raise

    def execute(self, command: str, /, **arguments: object) -> Any:  # noqa: ANN401 - JSON
        """Run a command; what it returns.

        Names of arguments that have a hyphen are written with an underscore.

        Raises:
            MonitorError: QEMU refuses it.
            GuestEndedError: QEMU ended.
            PatienceError: No answer came.
        """
        request: Message = {"execute": command}
        if arguments:
            request["arguments"] = {k.replace("_", "-"): v for k, v in arguments.items()}
        with self._lock:
            try:
                self._socket.sendall(json.dumps(request).encode() + b"\n")
            except OSError as error:
                raise GuestEndedError(f"QEMU ended before {command}: {error}") from error
            while True:
                message = self._read(PROCESS_PATIENCE)
                if "event" in message:
                    self._events.append(message)
                elif "error" in message:
                    raise MonitorError(f"{command}: {message['error'].get('desc', message)}")
                elif "return" in message:
                    return message["return"]

    def wait_for_event(self, name: str, patience: float) -> Message:
        """The next event with this name; those before it are passed over.

        Args:
            name: Such as RESET, SHUTDOWN, STOP, WATCHDOG.
            patience: Seconds.

        Raises:
            GuestEndedError: QEMU ended first.
            PatienceError: It did not come.
        """
        clock = Clock(patience)
        with self._lock:
            while True:
                while self._events:
                    event = self._events.popleft()
                    if event["event"] == name:
                        return event
                message = self._read(clock.left)
                if "event" in message:
                    self._events.append(message)

    def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _read(self, patience: float) -> Message:
        """The next message."""
        clock = Clock(patience)
        while (end := self._received.find(b"\n")) < 0:
            if len(self._received) > _MOST_BYTES:
                raise QemuError(f"a message of QEMU's monitor has more than {_MOST_BYTES} bytes")
            try:
                self._socket.settimeout(max(clock.left, 0.001))
                data = self._socket.recv(1 << 16)
            except TimeoutError as error:
                raise PatienceError(f"QEMU's monitor said nothing for {patience:.0f} s") from error
            except OSError as error:
                raise GuestEndedError(f"QEMU ended: {error}") from error
            if not data:
                raise GuestEndedError("QEMU ended, and its monitor with it")
            self._received += data
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        try:
            message = json.loads(line)
        except ValueError as error:
            raise QemuError(f"QEMU's monitor said what is not JSON: {line[:200]!r}") from error
        if not isinstance(message, dict):
            raise QemuError(f"QEMU's monitor said what is no object: {line[:200]!r}")
        return message
