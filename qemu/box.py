"""A box in QEMU: a disk from the image, a machine around it, and a way in by SSH."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from qemu import disk as disks
from qemu.errors import GuestEndedError, PatienceError, SshError
from qemu.hardware import Hardware
from qemu.machine import Machine
from qemu.patience import ANSWER_PATIENCE, BOOT_PATIENCE, await_it
from qemu.radio import TTY
from qemu.ssh import OPERATOR, Result, Ssh

DISK = "disk.qcow2"
SETTINGS = "edgenode.toml"

CARD_BYTES = 4 << 30
"""Size of a guest's disk: the data partition of a box is grown at its first boot."""


class Box:
    """A box.

    Attributes:
        name: Its name.
        directory: All its files.
        machine: What it runs on.
        ssh: The way in.
    """

    def __init__(
        self,
        name: str,
        image: Path,
        directory: Path,
        key: Path,
        *,
        hardware: Hardware | None = None,
        size: int = CARD_BYTES,
        user: str = OPERATOR,
        ssh_port: Callable[[], int] | None = None,
        mortal: bool = True,
    ) -> None:
        """Make its disk, a thin copy of the image; it is off.

        Args:
            name: Its name.
            image: The raw image, which must not change as long as the box is in use.
            directory: Made if it is missing; what an earlier box left in it is removed.
            key: The private SSH key whose public part its settings name.
            hardware: What its machine is made of.
            size: Bytes of the disk.
            user: The account to log in with.
            ssh_port: Gives the port that leads to its SSH, where its machine has no login network.
            mortal: Whether it ends with the thread that starts it.

        Raises:
            QemuError: The image is none, or a tool is missing.
        """
        self.name = name
        self.directory = directory
        self._image = image
        directory.mkdir(parents=True, exist_ok=True)
        disk = directory / DISK
        for old in (disk, directory / "console.log"):
            old.unlink(missing_ok=True)
        disks.overlay(image, disk, size=max(size, disks.size_of(image)))
        self.machine = Machine(name, disk, directory, hardware, mortal=mortal)
        self.ssh = Ssh(directory, key, ssh_port or (lambda: self.machine.ssh_port), user)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write_card(self, files: Mapping[str, str | bytes]) -> None:
        """Write files to the FAT partition, as a person does with the card in a PC.

        Args:
            files: Name to content. The box's settings are in `SETTINGS`.

        Raises:
            QemuError: It is on, or the partition is full.
        """
        self.machine.need_off("its card cannot be written")
        contents = {k: v.encode() if isinstance(v, str) else v for k, v in files.items()}
        where = disks.partition(self._image, disks.SETTINGS_PARTITION)
        disks.write_files(self.machine.disk, where, contents)

    def start(self) -> None:
        """Switch it on.

        Raises:
            QemuError: It cannot be.
        """
        self.ssh.hang_up()
        self.machine.start()

    def wait(self, patience: float = BOOT_PATIENCE) -> None:
        """Wait until it lets us in.

        Raises:
            GuestEndedError: It is off.
            PatienceError: It does not; the message has the console's end.
        """
        try:
            self.ssh.wait(patience, self.machine.ended)
        except (PatienceError, GuestEndedError) as error:
            raise type(error)(f"{self.name}: {error}{self.machine.console.told()}") from error

    def run(
        self, command: str, *, patience: float = ANSWER_PATIENCE, text: str = "", check: bool = True
    ) -> Result:
        """Run a command on it; see `Ssh.run`."""
        return self.ssh.run(command, patience=patience, text=text, check=check)

    def reboot(self, patience: float = BOOT_PATIENCE) -> float:
        """Let it restart in order, and wait until it lets us in again.

        Returns:
            Seconds that it took.

        Raises:
            PatienceError: It does not come back; the message has the console's end.
        """
        before = self.ssh.boot_id()
        began = time.monotonic()
        with contextlib.suppress(SshError):  # it may go before it has answered
            self.run("sudo systemctl reboot", check=False)
        self.wait_for_other_boot(before, patience)
        return time.monotonic() - began

    def wait_for_other_boot(self, before: str, patience: float = BOOT_PATIENCE) -> str:
        """Wait until it lets us in and has booted since.

        Args:
            before: `Ssh.boot_id` of the boot that is over.
            patience: Seconds.

        Returns:
            The new boot's id.

        Raises:
            GuestEndedError: It is off.
            PatienceError: It does not; the message has the console's end.
        """

        def look() -> str | None:
            self.ssh.hang_up()
            self.wait(patience)
            with contextlib.suppress(SshError):  # the old boot, about to go
                now = self.ssh.boot_id()
                return now if now != before else None
            return None

        return await_it(
            look,
            patience,
            lambda: f"{self.name} did not boot anew{self.machine.console.told()}",
            pause=1.0,
        )

    def power_cut(self) -> None:
        """Take the power away; see `Machine.power_cut`."""
        self.machine.power_cut()
        self.ssh.hang_up()

    def attach_radio(self) -> None:
        """Make the radio at the serial port the box's Bluetooth adapter, until it restarts.

        Raises:
            CommandError: It does not work.
        """
        self.run(
            "systemctl is-active --quiet edgenode-qemu-radio || sudo systemd-run --quiet "
            f"--collect --unit=edgenode-qemu-radio btattach -B {TTY} -P h4"
        )

    def close(self) -> None:
        """Off, whatever it takes."""
        self.power_cut()
