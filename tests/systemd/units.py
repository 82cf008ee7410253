"""The unit files of systemd/, as their text says and as systemd-analyze sees them in a tree."""

import shutil
import subprocess
from pathlib import Path

from tests.conftest import missing, require_tool

UNITS = Path(__file__).parents[2] / "systemd"
INSTALLED = Path("/usr/lib/systemd/system")

NODE = ("collector", "trainer", "gossip", "miner", "exporter")
"""The five services of a node."""

NODE_UNITS = (*NODE, "pool", "gateway")
"""Their units: a miner that has a network runs in one of its own. A gateway is one service more."""

SERVICES = tuple(path.name for path in sorted(UNITS.glob("*.service")))


def instance(name):
    """A template as it is asked for: with an instance."""
    return name.replace("@.", "@edgenode-miner.")


class Unit:
    """What a unit file says.

    `unit["Service", "User"]` is the last value of a key, as for systemd; `all` gives every one.
    """

    def __init__(self, name):
        self._values = {}
        section = ""
        for line in (UNITS / name).read_text().splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            elif line and not line.startswith("#"):
                key, _, value = line.partition("=")
                self._values.setdefault((section, key), []).append(value)

    def __getitem__(self, place):
        return self.all(*place)[-1]

    def get(self, section, key):
        """The value of a key, or None."""
        values = self.all(section, key)
        return values[-1] if values else None

    def all(self, section, key):
        """Every value of a key."""
        return self._values.get((section, key), [])

    def words(self, section, key):
        """All words of all values of a key."""
        return [word for value in self.all(section, key) for word in value.split()]

    def programs(self):
        """The programs that it starts."""
        return {
            command.split()[0].lstrip("-+")
            for (section, key), commands in self._values.items()
            if section == "Service" and key.startswith("Exec") and not key.endswith("Paths")
            for command in commands
        }


def node_unit(service):
    """The unit of one of the five."""
    return Unit(f"edgenode-{service}.service")


def tree(root):
    """A root directory with our units, systemd's own targets and what the units start."""
    units = root / INSTALLED.relative_to("/")
    shutil.copytree(UNITS, units, ignore=shutil.ignore_patterns("*.d"))
    shutil.copytree(UNITS / "bluetooth.service.d", units / "bluetooth.service.d")
    theirs = [*INSTALLED.glob("*.target"), INSTALLED / "systemd-networkd.service"]
    if not theirs[:-1]:
        missing(f"systemd's own units are not in {INSTALLED} (Debian's package systemd)")
    for path in theirs:
        if path.exists():
            shutil.copy(path, units, follow_symlinks=False)
    # What the drop-in is for, where bluez is not installed.
    (units / "bluetooth.service").write_text(
        "[Unit]\nDescription=Bluetooth service\n\n"
        "[Service]\nExecStart=/usr/libexec/bluetooth/bluetoothd\n"
    )
    programs = {"/usr/libexec/bluetooth/bluetoothd", "/usr/lib/systemd/systemd-networkd"}
    for name in SERVICES:
        programs |= Unit(name).programs()
    for name in programs:
        program = root / name.lstrip("/")
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    return units


def analyze(root, *arguments):
    """Run systemd-analyze on a tree: its exit status and all that it prints."""
    program = require_tool("systemd-analyze", "systemd")
    ran = subprocess.run(
        [program, f"--root={root}", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return ran.returncode, ran.stdout + ran.stderr
