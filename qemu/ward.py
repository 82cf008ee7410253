"""A ward of boxes in QEMU: one virtual network, a wearable beside each box, one genesis.

What a person does with real cards is done here: each box starts with its settings and the ward's
key, shows the public part of the member key that it has made, and gets the genesis that lists all.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from edgenode.ledger.genesis import Genesis, Member
from edgenode.ledger.genesis_file import format_genesis
from qemu import founding, settings
from qemu.box import SETTINGS, Box
from qemu.errors import QemuError
from qemu.founding import with_all
from qemu.hardware import Hardware
from qemu.network import Network, address
from qemu.patience import BOOT_PATIENCE
from qemu.radio import MOST_BOXES, Place
from qemu.radio_process import RECORDINGS, RadioProcess
from qemu.ssh import SSH_PORT, public_key

_RECORDED = 10  # people, of whom each wearable replays two


@dataclass(frozen=True, slots=True)
class WardPlan:
    """What ward to boot.

    Attributes:
        image: The image.
        directory: All its files; made if it is missing.
        key: Private SSH key.
        boxes: How many boxes.
        recordings: What the wearables replay; None for boxes without radio.
        speed: Times life at which they do.
        spacing: Seconds between blocks.
        hash_rate: Hashes per second of each box, for the first target.
        share: Share of its time that a miner hashes.
        memory_mib: MiB of each box.
    """

    image: Path
    directory: Path
    key: Path
    boxes: int = 2
    recordings: Path | None = RECORDINGS
    speed: float = 1.0
    spacing: int = founding.DEFAULT_SPACING
    hash_rate: float = founding.DEFAULT_HASH_RATE
    share: float = 0.2
    memory_mib: int = 768


class Ward:
    """Boxes that belong together.

    Attributes:
        plan: What it was made from.
        boxes: The boxes, bed-1 first.
        ward_key: The ward's key.
        genesis: What they have agreed on, once they are founded.
    """

    def __init__(self, plan: WardPlan, network: Network) -> None:
        """Make the disks; nothing runs yet.

        Args:
            plan: What to make.
            network: What they are on; it is not closed with the ward.

        Raises:
            QemuError: There cannot be so many, the image is none, or a tool is missing.
        """
        if not 1 <= plan.boxes <= MOST_BOXES:
            raise QemuError(f"a ward of {plan.boxes} boxes; 1 to {MOST_BOXES} are possible")
        self.plan = plan
        self.ward_key = secrets.token_bytes(32)
        self.genesis: Genesis | None = None
        self._network = network
        plan.directory.mkdir(parents=True, exist_ok=True)
        self.radio = self._radio()
        self.boxes = [self._box(number) for number in range(1, plan.boxes + 1)]
        self._sensors: Sequence[Sequence[str]] = [()] * plan.boxes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Switch everything on; returns long before the guests are up.

        Raises:
            QemuError: It cannot be.
        """
        if self.radio is not None:
            self._sensors = self.radio.start()
        for number, box in enumerate(self.boxes, 1):
            box.write_card({SETTINGS: self._settings(number)})
            box.start()

    def wait(self, patience: float = BOOT_PATIENCE) -> None:
        """Wait until all boxes let us in.

        Raises:
            PatienceError: One does not.
        """
        with_all(self.boxes, lambda box: box.wait(patience))

    def found(self, members: Sequence[Member] = ()) -> Genesis:
        """Make the genesis, give it to all boxes and let their services start.

        Args:
            members: Others who belong to the ward, such as a node of the host.

        Raises:
            QemuError: A box does not do what it must.
        """
        plan = self.plan
        if self.radio is not None:
            with_all(self.boxes, Box.attach_radio)
        self.genesis = founding.found(
            self.boxes, members=members, spacing=plan.spacing, hash_rate=plan.hash_rate
        )
        (plan.directory / "genesis.toml").write_text(format_genesis(self.genesis))
        return self.genesis

    def status(self) -> list[Mapping[str, Any]]:
        """What each node says of itself (`edgenode status --json`).

        Raises:
            QemuError: One says nothing.
        """
        return with_all(self.boxes, founding.status)

    def close(self) -> None:
        """Everything off."""
        for box in self.boxes:
            box.close()
        if self.radio is not None:
            self.radio.stop()

    def _radio(self) -> RadioProcess | None:
        plan = self.plan
        if plan.recordings is None:
            return None
        places = []
        for number in range(1, plan.boxes + 1):
            first = 2 * (number - 1) % _RECORDED + 1
            socket = plan.directory / f"radio-{number}.sock"
            places.append(Place((first, first % _RECORDED + 1), socket))
        log = plan.directory / "radio.log"
        return RadioProcess(places, log, recordings=plan.recordings, speed=plan.speed)

    def _box(self, number: int) -> Box:
        plan = self.plan
        with_radio = plan.recordings is not None
        radio = plan.directory / f"radio-{number}.sock" if with_radio else None
        return Box(
            f"bed-{number}",
            plan.image,
            plan.directory / f"bed-{number}",
            plan.key,
            hardware=Hardware(
                memory_mib=plan.memory_mib,
                login=False,
                ward=self._network.attach(number),
                radio=radio,
                watchdog=True,
            ),
            ssh_port=lambda: self._network.router.forward(number, SSH_PORT),
        )

    def _settings(self, number: int) -> str:
        name = self.boxes[number - 1].name
        others = [n for n in range(1, self.plan.boxes + 1) if n != number]
        # Two to ask first: the box after this one and the one after that, round the ward.
        others = sorted(others, key=lambda n: (n - number) % self.plan.boxes)[:2]
        tables = settings.for_box(name, [public_key(self.plan.key)], address=address(number))
        tables |= settings.for_member(
            [address(n).ip for n in others],
            self.ward_key,
            self._sensors[number - 1],
            self.plan.share,
        )
        return settings.text(tables)
