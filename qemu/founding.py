"""Boxes become a ward: each shows its member key and gets the genesis that lists all of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from edgenode.appliance.units import SERVICES
from edgenode.cli.new_genesis import new_genesis
from edgenode.ledger.genesis import Genesis, Member
from edgenode.ledger.genesis_file import format_genesis
from qemu.box import Box
from qemu.errors import QemuError

T = TypeVar("T")

DEFAULT_SPACING = 30
"""Seconds between blocks."""

DEFAULT_HASH_RATE = 20_000.0
"""Hashes per second of an emulated box, on the low side: a first block that comes too early is put
right by the difficulty, one that does not come holds up everything."""

_HALF_LIFE_SPACINGS = 8
"""A ward that lives for minutes must find its pace within a few blocks."""

_KEY_DIGITS = 64


def found(
    boxes: Sequence[Box],
    *,
    members: Sequence[Member] = (),
    spacing: int = DEFAULT_SPACING,
    hash_rate: float = DEFAULT_HASH_RATE,
) -> Genesis:
    """Make a genesis, give it to all boxes, and let their services start with it.

    Args:
        boxes: Boxes that let us in, with the same ward key.
        members: Others who belong to the ward, such as a node of the host.
        spacing: Seconds between blocks.
        hash_rate: Hashes per second of each box.

    Raises:
        QemuError: A box does not do what it must.
    """
    keys = with_all(boxes, member_key)
    of_boxes = [Member(box.name, key) for box, key in zip(boxes, keys, strict=True)]
    genesis = new_genesis(
        name="qemu ward",
        time=int(time.time()) - spacing,
        members=[*of_boxes, *members],
        models=["activity"],
        spacing=spacing,
        hash_rate=hash_rate * len(boxes),
        half_life=_HALF_LIFE_SPACINGS * spacing,
    )
    text = format_genesis(genesis)
    with_all(boxes, lambda box: join(box, text))
    return genesis


def member_key(box: Box) -> str:
    """The public part of the key that a box made at its first boot, in hexadecimal.

    Raises:
        QemuError: It has none.
    """
    said = box.run("sudo edgenode key show").stdout.strip()
    if len(said) != _KEY_DIGITS or not set(said) <= set("0123456789abcdef"):
        raise QemuError(f"{box.name} says that its member key is {said!r}")
    return said


def join(box: Box, genesis: str) -> None:
    """Give a box its genesis, and let its services start with it.

    Args:
        box: The box.
        genesis: Text of the file.

    Raises:
        CommandError: It does not work.
    """
    box.run("sudo tee /etc/edgenode/genesis.toml >/dev/null", text=genesis)
    box.run("sudo systemctl reset-failed 'edgenode-*'", check=False)
    services = " ".join(f"edgenode-{service}.service" for service in SERVICES)
    box.run(f"sudo systemctl restart edgenode-setup.service {services}")
    box.run("sudo systemctl start edgenode.target")
    accept_clock(box)


def accept_clock(box: Box) -> None:
    """Vouch for a box's clock: QEMU has set it, and no time server can be reached.

    It holds until the box restarts.

    Raises:
        CommandError: The node does not answer.
    """
    # The service opens its socket some time after systemd has started it.
    box.run(
        "for n in $(seq 300); do edgenode clock accept >/dev/null 2>&1 && exit 0; sleep 1; done; "
        "edgenode clock accept"
    )


def settle(box: Box) -> None:
    """Do what a board and its network do after each boot, and an emulated box's do not.

    Plug the radio in, which on a board the kernel finds by itself, and vouch for the clock, which
    no time server sets here.

    Raises:
        QemuError: It does not work.
    """
    if box.machine.hardware.radio is not None:
        box.machine.replug_radio()
        box.attach_radio()
    accept_clock(box)


def status(box: Box) -> Mapping[str, Any]:
    """What a box's node says of itself.

    Raises:
        QemuError: It says nothing.
    """
    said = json.loads(box.run("edgenode status --json").stdout)
    assert isinstance(said, dict)
    return said


def with_all(boxes: Sequence[Box], action: Callable[[Box], T]) -> list[T]:
    """Do something with all boxes at the same time; they answer slowly.

    It must not switch a box on: a mortal machine ends with the thread that starts it.
    """
    with ThreadPoolExecutor(len(boxes)) as threads:
        return list(threads.map(action, boxes))
