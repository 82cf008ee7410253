"""A guest's serial console: reading it without losing text, waiting for words, typing.

QEMU itself writes all that the guest says into a log file, from the first byte on and whether or
not anybody listens. The console is read from there. The socket serves for typing only.
"""

from __future__ import annotations

import codecs
import contextlib
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from qemu import sockets
from qemu.errors import GuestEndedError, PanicError, PatienceError
from qemu.patience import PROCESS_PATIENCE, await_it

PANIC = r"Kernel panic - not syncing|### ERROR ### Please RESET the board ###"
"""After one of these a guest that does not reset by itself says nothing more."""

_ESCAPE = re.compile(
    r"\x1b(?:"
    r"\[[0-?]*[ -/]*[@-~]"  # control sequence: colours, cursor
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\)"  # operating system command: window titles
    r"|[ -/]{0,2}[0-Z\\^-~]"  # the short ones
    r")|[\r\0]"
)
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?|[ -/]{0,2})?\Z")
_LONGEST_ESCAPE = 256
"""Characters. A guest that never ends a sequence does not make us wait for ever."""


class Cleaner:
    """Turns a terminal's bytes into plain text, however they are cut into pieces."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self._held = ""

    def feed(self, data: bytes) -> str:
        """The text of some more bytes: without carriage returns, colours and cursor movements."""
        text = self._held + self._decode(data)
        unfinished = _UNFINISHED.search(text)
        keep = len(text)
        if unfinished is not None and len(text) - unfinished.start() <= _LONGEST_ESCAPE:
            keep = unfinished.start()
        self._held = text[keep:]
        return _ESCAPE.sub("", text[:keep])


class Console:
    """What a guest said, and a place in it up to which it has been read."""

    def __init__(
        self, log: Path, socket_path: Path, ended: Callable[[], str | None] = lambda: None
    ) -> None:
        """Nothing is opened yet.

        Args:
            log: File that QEMU appends the guest's output to.
            socket_path: QEMU's socket for its input.
            ended: Says why nothing more will come, or None as long as something may.
        """
        self._log = log
        self._socket_path = socket_path
        self._ended = ended
        self._cleaner = Cleaner()
        self._read_bytes = 0
        self._text = ""
        self._place = 0
        self._input: socket.socket | None = None

    @property
    def text(self) -> str:
        """All that was said so far, over all boots of the machine."""
        if self._log.exists():
            with self._log.open("rb") as log:
                log.seek(self._read_bytes)
                data = log.read()
            self._read_bytes += len(data)
            self._text += self._cleaner.feed(data)
        return self._text

    @property
    def unread(self) -> str:
        """What was said and not yet waited for."""
        return self.text[self._place :]

    def skip(self) -> None:
        """Go to the end: what was said before is not waited for any more."""
        self._place = len(self.text)

    def wait_for(
        self, pattern: str, patience: float, *, unless: str | None = PANIC
    ) -> re.Match[str]:
        """Wait until a pattern is said, and go behind it.

        Args:
            pattern: Regular expression, in which ^ and $ stand for line ends.
            patience: Seconds.
            unless: What makes waiting vain, if it is said before.

        Raises:
            PanicError: That was said.
            GuestEndedError: QEMU ended.
            PatienceError: It was not said in time; the message shows what was.
        """
        wanted = re.compile(pattern, re.MULTILINE)
        hopeless = re.compile(unless, re.MULTILINE) if unless is not None else None

        def look() -> re.Match[str] | None:
            ended = self._ended()  # before the last text is read, not after it
            text = self.text
            found = wanted.search(text, self._place)
            bad = hopeless.search(text, self._place) if hopeless is not None else None
            if bad is not None and (found is None or bad.start() < found.start()):
                raise PanicError(f"{bad.group()!r}, and not {pattern!r}{self.told()}")
            if found is None and ended is not None:
                raise GuestEndedError(f"{ended}; it never said {pattern!r}{self.told()}")
            return found

        match = await_it(
            look, patience, lambda: f"no {pattern!r} for {patience:.0f} s{self.told()}"
        )
        self._place = match.end()
        return match

    def told(self, lines: int = 25) -> str:
        """The last lines that were said, to end a message with."""
        last = "\n  | ".join(self.text.rstrip().splitlines()[-lines:])
        return f"\nthe console's end ({self._log}):\n  | {last}"

    def send(self, text: str) -> None:
        """Type.

        Raises:
            GuestEndedError: QEMU is not running.
            PatienceError: The guest takes no input.
        """
        data = text.encode()
        try:
            self._connected().sendall(data)
        except TimeoutError as error:
            raise PatienceError(f"the guest takes no input{self.told()}") from error
        except OSError as error:
            self.close()
            raise GuestEndedError(f"the console takes no input: {error}") from error

    def send_line(self, line: str) -> None:
        """Type a line and the Return key."""
        self.send(f"{line}\r")

    def close(self) -> None:
        """Let go of the socket; the next `send` connects anew."""
        if self._input is not None:
            with contextlib.suppress(OSError):
                self._input.shutdown(socket.SHUT_RDWR)
            self._input.close()
            self._input = None

    def _connected(self) -> socket.socket:
        if self._input is None:
            self._input = sockets.connect(self._socket_path, PROCESS_PATIENCE)
            # QEMU waits for a client that does not read, and the guest with it.
            threading.Thread(
                target=_drain, args=(self._input,), name="console drain", daemon=True
            ).start()
        return self._input


def _drain(connection: socket.socket) -> None:
    while True:
        try:
            if not connection.recv(1 << 16):
                return
        except TimeoutError:
            continue
        except OSError:  # closed
            return
