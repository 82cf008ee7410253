"""A box for the tests: the image on a thin copy, with settings on its first partition."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from qemu import disk
from qemu.hardware import Attachment, Hardware
from qemu.machine import Machine
from qemu.ssh import Ssh, make_key, public_key

PATIENCE = 1800.0
"""Seconds; for waiting only. A loaded machine is ten times slower than an idle one."""

CARD_BYTES = 4 << 30

SETTINGS = """\
[box]
hostname = "{name}"

[ssh]
keys = ["{key}"]

[node]
name = "{name}"

[gossip]
seeds = [{seeds}]

[miner]
share = 0.5

[exporter]
listen = "0.0.0.0:9464"
"""


class Box:
    """One box, switched off."""

    def __init__(
        self, image: Path, folder: Path, name: str = "bed-1", ward: Attachment | None = None
    ) -> None:
        folder.mkdir(parents=True)
        self.name = name
        key = make_key(folder)
        self._key = public_key(key)
        self._image = image
        self.card = disk.overlay(image, folder / "card.qcow2", size=CARD_BYTES)
        self.machine = Machine(name, self.card, folder, Hardware(watchdog=True, ward=ward))
        self.ssh = Ssh(folder, key, lambda: self.machine.ssh_port)

    def settings(self, seeds: str = "", more: str = "") -> str:
        """An edgenode.toml with this box's name and the test's SSH key."""
        return SETTINGS.format(name=self.name, key=self._key, seeds=seeds) + more

    def write_card(self, **files: str) -> None:
        """Put files on the first partition; dots in names are written as underscores."""
        named = {name.replace("_", "."): text.encode() for name, text in files.items()}
        disk.write_files(self.card, disk.partition(self._image, 1), named)

    def boot(self) -> None:
        """Switch it on and wait until somebody can log in."""
        self.machine.start()
        self.ssh.wait(PATIENCE, self.machine.ended)

    def reboot(self) -> None:
        """Start it anew, in order, and wait until somebody can log in."""
        before = self.ssh.boot_id()
        self.ssh.run("sudo systemctl --no-block reboot")
        self.wait_for_another_boot(before)

    def wait_for_another_boot(self, before: str) -> None:
        """Wait until the box was started anew and somebody can log in."""
        self.ssh.hang_up()
        while True:
            self.ssh.wait(PATIENCE, self.machine.ended)
            if self.ssh.boot_id() != before:
                return

    def accept_clock(self) -> None:
        """Vouch for the box's clock: no time server is in reach of a test."""
        self.wait_until("sudo edgenode clock accept")

    def run(self, command: str) -> str:
        """Standard output of a command that must succeed."""
        return self.ssh.run(command, patience=PATIENCE).stdout.strip()

    def wait_until(self, command: str) -> str:
        """Repeat a command on the box until it succeeds; its standard output."""
        return self.run(f"until {command}; do sleep 2; done")

    def status(self) -> dict[str, Any]:
        """The node at a glance."""
        document: dict[str, Any] = json.loads(self.run("edgenode status --json"))
        return document

    def slot(self) -> str:
        """Which slot runs."""
        found = re.search(r"rauc\.slot=([AB])", self.run("cat /proc/cmdline"))
        assert found
        return found[1]
