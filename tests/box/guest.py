"""A flashed box for the tests: the harness' box with a wearable, and short ways to ask it."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgenode.appliance.units import SERVICES
from edgenode.ledger.genesis import Genesis
from image.filesystems import fat
from qemu import founding
from qemu.box import SETTINGS, Box
from qemu.hardware import Hardware
from qemu.patience import BOOT_PATIENCE
from qemu.radio import Place
from qemu.radio_process import RadioProcess
from qemu.settings import Tables, for_box, for_member, text
from qemu.ssh import make_key, public_key
from tests.box.bundles import EPOCH

WARD_KEY = bytes(range(32))

STICK_SIZE = 384 << 20
"""Bytes of a box's stick: an update bundle has some 230 MB."""

STICK = "/dev/disk/by-id/virtio-stick"

SPEED = 4.0
"""Times life at which the wearable replays: an emulated box trains early, and keeps up."""


class FlashedBox(Box):
    """A box with a wearable in reach; its settings are on its card.

    Attributes:
        key: The private SSH key that it lets in.
        tables: The settings.
    """

    def __init__(
        self, image: Path, folder: Path, name: str, hardware: Hardware, tables: Tables
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.key = make_key(folder)
        super().__init__(name, image, folder, self.key, hardware=hardware)
        self.tables: Tables = {**for_box(name, [public_key(self.key)]), **tables}
        self.write_card({SETTINGS: text(self.tables)})

    def come_up(self) -> None:
        """Switch it on, and wait until it lets us in."""
        self.start()
        self.wait()

    def settle(self) -> None:
        """Make it work after a boot; see `founding.settle`."""
        founding.settle(self)

    def found(self, spacing: int = 10) -> Genesis:
        """Make it a ward of its own."""
        self.attach_radio()
        return founding.found([self], spacing=spacing)

    def out(self, command: str) -> str:
        """Standard output of a command that must succeed."""
        return self.run(command, patience=BOOT_PATIENCE).stdout.strip()

    def wait_until(self, command: str) -> str:
        """Repeat a command on the box until it succeeds; its standard output."""
        return self.out(f"until {command}; do sleep 2; done")

    def wait_for_services(self) -> None:
        """Wait until all five run."""
        for service in SERVICES:
            self.wait_until(f"systemctl is-active --quiet edgenode-{service}")

    def failed_units(self) -> str:
        """Units that systemd calls failed, a line for each."""
        return self.out("systemctl list-units --failed --no-legend --plain")

    def status(self) -> Mapping[str, Any]:
        """The node at a glance."""
        return founding.status(self)

    def doctor(self, check: str) -> tuple[str, str, int]:
        """What the doctor says of one thing: its status, all its words; and the exit status."""
        said = self.run("sudo edgenode doctor --json", check=False)
        finding = next(f for f in json.loads(said.stdout)["checks"] if f["name"] == check)
        return finding["status"], json.dumps(finding), said.status

    def put_on_card(self, files: Mapping[str, str]) -> None:
        """Write files to the first partition while the box is on."""
        self.out("sudo mount -o remount,rw /boot/firmware")
        for name, content in files.items():
            self.run(f"sudo tee /boot/firmware/{name} >/dev/null", text=content)
        self.out("sudo mount -o remount,ro /boot/firmware")

    def plug_stick(self, files: Mapping[str, Path]) -> None:
        """Let it read files under /run/stick, as from a USB stick; what was there before is gone.

        To send a bundle over the network of an emulated box takes minutes.
        """
        stick = self.machine.hardware.stick
        assert stick is not None
        self.out("! mountpoint -q /run/stick || sudo umount /run/stick")
        made = stick.with_suffix(".new")
        fat(files, made, STICK_SIZE, "STICK", EPOCH)
        with made.open("rb") as new, stick.open("r+b") as old:  # QEMU holds this very file open
            shutil.copyfileobj(new, old, 1 << 20)
        made.unlink()
        self.mount_stick()

    def mount_stick(self) -> None:
        """Mount what is plugged in, such as after a boot."""
        self.out(
            f"sudo mkdir -p /run/stick && sudo blockdev --flushbufs {STICK} && "
            f"sudo mount -o ro {STICK} /run/stick"
        )

    def wait_for_a_block(self) -> None:
        """Wait until its chain is higher than now."""
        height = self.status()["head"]["height"]
        while self.status()["head"]["height"] == height:
            time.sleep(2)

    def wait_for_good_slot(self) -> None:
        """Wait until the slot that runs is not on trial, or no longer."""
        self.wait_until(f"sudo edgenode-bootslot show | grep -q 'slot {self.slot()}: good'")

    def slot(self) -> str:
        """Which slot runs."""
        found = re.search(r"rauc\.slot=([AB])", self.out("cat /proc/cmdline"))
        assert found
        return found[1]


@contextmanager
def flashed(
    image: Path,
    recorded: Path,
    folder: Path,
    *,
    ward_key: bytes | None = WARD_KEY,
    share: float = 0.2,
    speed: float = SPEED,
    **hardware: Any,
) -> Iterator[FlashedBox]:
    """A box, switched off, with a wearable that replays recordings.

    Args:
        image: The image.
        recorded: What the wearable replays.
        folder: For all its files.
        ward_key: In its settings; None for a box that waits for its ward.
        share: Share of its time that its miner hashes.
        speed: Times life at which the wearable replays.
        hardware: More of `qemu.hardware.Hardware`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stick = folder / "stick.img"
    stick.touch()
    os.truncate(stick, STICK_SIZE)
    place = Place((1, 2), folder / "radio.sock")
    radio = RadioProcess([place], folder / "radio.log", recordings=recorded, speed=speed)
    try:
        (sensors,) = radio.start()
        tables = for_member([], ward_key or WARD_KEY, sensors, share)
        if ward_key is None:
            del tables["ward"]
        machine = Hardware(radio=place.socket, stick=stick, watchdog=True, **hardware)
        with FlashedBox(image, folder / "bed-1", "bed-1", machine, tables) as box:
            yield box
    finally:
        radio.stop()
