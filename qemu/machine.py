"""A guest as QEMU runs it: power on, power cuts, resets, its console and its monitor."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from qemu.console import PANIC, Console
from qemu.errors import PatienceError, QemuError
from qemu.hardware import CONSOLE_LOG, CONSOLE_SOCKET, QEMU, Hardware
from qemu.patience import ANSWER_PATIENCE
from qemu.process import QemuProcess
from qemu.qmp import Monitor
from qemu.ssh import SSH_PORT
from qemu.tools import need


class Machine:
    """A machine with a disk. It can be switched on and off any number of times.

    Attributes:
        name: Its name.
        directory: Where its sockets and logs are.
        disk: Its disk, a qcow2 file.
        hardware: What it is made of; may be changed while it is off.
        console: Its serial console, over all its boots.
    """

    def __init__(
        self,
        name: str,
        disk: Path,
        directory: Path,
        hardware: Hardware | None = None,
        *,
        mortal: bool = True,
    ) -> None:
        """Put it together; it is off.

        Args:
            name: Its name.
            disk: A qcow2 file (`qemu.disk.overlay`), which it writes to.
            directory: Made if it is missing; one machine has it for itself.
            hardware: What it is made of.
            mortal: Whether it ends with the thread that starts it.
        """
        self.name = name
        self.directory = directory
        self.disk = disk
        self.hardware = hardware or Hardware()
        self._process = QemuProcess(name, directory, mortal=mortal)
        self.console = Console(
            directory / CONSOLE_LOG, directory / CONSOLE_SOCKET, self._process.ended
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, *, saved: str | None = None) -> None:
        """Switch it on; returns when QEMU runs, long before the guest is up.

        Args:
            saved: Go on from this state (see `save`) instead of booting.

        Raises:
            QemuError: It is on, something is not installed, or QEMU refuses.
        """
        self.need_off("it cannot be started")
        direct = self.hardware.direct is not None
        need([QEMU], firmware=None if direct else self.hardware.firmware)
        hardware = self.hardware
        if hardware.write_log is not None:
            _begin_write_log(hardware.write_log)
        self.console.close()
        self.console.skip()
        command = hardware.absolute().command(self.name, self.disk.absolute())
        if saved is not None:
            command += ["-loadvm", saved]
        self._process.start(command, hardware.descriptors)

    def need_off(self, what: str) -> None:
        """Refuse what can be done only while it is off.

        Raises:
            QemuError: It is on, and so `what`.
        """
        if self.running:
            raise QemuError(f"{self.name} is on: {what}")

    @property
    def running(self) -> bool:
        """Whether it is on."""
        return self._process.running

    @property
    def pid(self) -> int:
        """QEMU's process.

        Raises:
            GuestEndedError: It is off.
        """
        return self._process.pid

    @property
    def ssh_port(self) -> int:
        """Port of 127.0.0.1 that leads to the guest's SSH; another one after each start.

        Raises:
            GuestEndedError: It is off.
            QemuError: It has no login network.
        """
        if not self.hardware.login:
            raise QemuError(f"{self.name} has no network for logins")
        return self._process.forwarded_port(SSH_PORT)

    @property
    def monitor(self) -> Monitor:
        """QEMU's monitor.

        Raises:
            GuestEndedError: It is off.
        """
        return self._process.monitor

    def ended(self) -> str | None:
        """Why it is off; None as long as it is on."""
        return self._process.ended()

    def wait_for(self, pattern: str, patience: float, *, unless: str | None = PANIC) -> str:
        """Wait for words on the console; see `Console.wait_for`. The words."""
        return self.console.wait_for(pattern, patience, unless=unless).group()

    def power_cut(self) -> None:
        """Take the power away: QEMU is killed, at whatever it was doing.

        The host's page cache keeps what QEMU had handed to it. To lose writes that the guest had
        not flushed as well, replay a write log (`qemu.replay`).
        """
        self._process.kill()
        self.console.close()

    def reset(self) -> None:
        """Press the reset button: the processors start anew, the disk keeps all writes.

        Raises:
            GuestEndedError: It is off.
        """
        self.console.skip()
        self.monitor.execute("system_reset")
        if self.hardware.radio is not None:
            self.replug_radio()

    def replug_radio(self) -> None:
        """Pull the radio and plug it in again: it is reset, and whatever was half sent is gone.

        Raises:
            GuestEndedError: It is off.
            QemuError: It has none.
        """
        if self.hardware.radio is None:
            raise QemuError(f"{self.name} has no radio")
        socket = {"type": "unix", "data": {"path": str(self.hardware.radio.absolute())}}
        self.monitor.execute(
            "chardev-change",
            id="radio",
            backend={"type": "socket", "data": {"addr": socket, "server": False, "reconnect": 1}},
        )

    def save(self, name: str) -> None:
        """Keep the whole state, memory and disk, inside the disk's file; the guest runs on.

        `start(saved=name)` goes back to it in seconds. The guest's clock stands still meanwhile,
        its connections to others break, and it must have no radio, whose state is not kept.

        Raises:
            QemuError: It cannot be saved, such as with a write log.
            GuestEndedError: It is off.
        """
        if self.hardware.radio is not None:
            raise QemuError(f"{self.name} has a radio, whose state cannot be saved")
        said = self.monitor.execute("human-monitor-command", command_line=f"savevm {name}")
        if said:
            raise QemuError(f"{self.name} cannot be saved: {said}".strip())

    def shut_down(self, patience: float = ANSWER_PATIENCE) -> None:
        """Press the power button and wait until the guest has switched itself off.

        Raises:
            GuestEndedError: It is off already.
            PatienceError: It stayed on.
        """
        self.monitor.execute("system_powerdown")
        self.wait_until_off(patience)

    def wait_until_off(self, patience: float) -> None:
        """Wait until the guest has switched itself off.

        Raises:
            PatienceError: It stayed on; the message shows the console's end.
        """
        try:
            self._process.wait(patience)
        except PatienceError as error:
            raise PatienceError(f"{error}{self.console.told()}") from error
        self.console.close()

    def quit(self) -> None:
        """End QEMU in order: the guest is not asked, but what it wrote is on the disk and in logs.

        Raises:
            PatienceError: QEMU does not end.
        """
        self._process.quit()
        self.console.close()

    def plug(self, network: str, *, into: bool) -> None:
        """Plug a network cable in, or pull it.

        Args:
            network: "login" or "ward".
            into: Whether in.

        Raises:
            MonitorError: There is no such network.
        """
        self.monitor.execute("set_link", name=network, up=into)

    def close(self) -> None:
        """Off, whatever it takes."""
        self.power_cut()


def _begin_write_log(path: Path) -> None:
    """Make the empty file that QEMU wants.

    Raises:
        QemuError: It is not empty: after a power cut the end of a log may be missing, and what is
            appended to it would be the story of another disk.
    """
    path.touch()
    if path.stat().st_size:
        raise QemuError(f"{path} is the write log of an earlier start; take another file")
