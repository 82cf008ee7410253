"""A flashed box for the tests: the harness' box, and short ways to ask it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qemu import founding
from qemu.box import SETTINGS, Box
from qemu.hardware import Hardware
from qemu.patience import BOOT_PATIENCE
from qemu.settings import for_box, text
from qemu.ssh import make_key, public_key


class FlashedBox(Box):
    """A box whose card has settings: it mines and shows its metrics, and knows no other box."""

    def __init__(self, image: Path, folder: Path, name: str) -> None:
        folder.mkdir(parents=True)
        key = make_key(folder)
        super().__init__(name, image, folder, key, hardware=Hardware(watchdog=True))
        tables = {
            **for_box(name, [public_key(key)]),
            "node": {"name": name},
            "miner": {"share": 0.5},
            "exporter": {"listen": "0.0.0.0:9464"},
        }
        self.write_card({SETTINGS: text(tables)})

    def out(self, command: str) -> str:
        """Standard output of a command that must succeed."""
        return self.run(command, patience=BOOT_PATIENCE).stdout.strip()

    def wait_until(self, command: str) -> str:
        """Repeat a command on the box until it succeeds; its standard output."""
        return self.out(f"until {command}; do sleep 2; done")

    def status(self) -> Mapping[str, Any]:
        """The node at a glance."""
        return founding.status(self)

    def slot(self) -> str:
        """Which slot runs."""
        found = re.search(r"rauc\.slot=([AB])", self.out("cat /proc/cmdline"))
        assert found
        return found[1]
