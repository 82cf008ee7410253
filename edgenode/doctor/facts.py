"""What is known of a box when it is judged; each part may be missing, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgenode.api.shapes import LastReport, Peer, Status
from edgenode.appliance.boot_state import BootState, Slot
from edgenode.appliance.mistake import Mistake
from edgenode.appliance.units import Unit
from edgenode.services.config import NodeSettings


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that could not be found out, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Node:
    """What the local API says."""

    status: Status
    peers: tuple[Peer, ...]
    services: Mapping[str, LastReport]


@dataclass(frozen=True, slots=True)
class Clock:
    """The box's clock, as anybody sees it.

    Attributes:
        wall: Unix seconds.
        build: When this release was built, in Unix seconds.
        synchronised: Whether the system says that it is synchronised.
    """

    wall: float
    build: float
    synchronised: bool


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system that a directory of the state lies on.

    Attributes:
        directory: The directory, or the nearest one above it that exists.
        device: Tells file systems apart.
        kind: Type of the file system, such as "ext4"; empty where it is not known.
        free: Bytes that its user may still write.
        total: Bytes in all.
        free_files: Files that may still be made; None where there is no such limit.
        total_files: Files in all; None then.
        read_only: Whether it is mounted read-only.
    """

    directory: Path
    device: int
    kind: str
    free: int
    total: int
    free_files: int | None
    total_files: int | None
    read_only: bool


@dataclass(frozen=True, slots=True)
class Store:
    """A database of the state.

    Attributes:
        opens: Whether this program can use it; None where it is not there yet, or where only its
            service and root may look into it.
        note: Why not, or what of these it is; empty if it opens.
    """

    opens: bool | None
    note: str


@dataclass(frozen=True, slots=True)
class Storage:
    """The disks and stores of the services that the box runs."""

    disks: Mapping[str, Disk]
    stores: Mapping[str, Store]


@dataclass(frozen=True, slots=True)
class Seed:
    """A node to ask first.

    Attributes:
        address: As the configuration has it.
        hosts: Addresses that the name stands for.
        problem: Why nothing can be sent there; empty if it can.
    """

    address: str
    hosts: tuple[str, ...]
    problem: str


@dataclass(frozen=True, slots=True)
class Ward:
    """What genesis says of time.

    Attributes:
        spacing: Seconds between blocks, on average.
        future_bound: Seconds that a block may be ahead of a node's clock.
    """

    spacing: int
    future_bound: int


@dataclass(frozen=True, slots=True)
class RaucSlot:
    """A slot as RAUC sees it: its bootname, and whether it is "good" or "bad"."""

    bootname: str
    boot_status: str | None


@dataclass(frozen=True, slots=True)
class Slots:
    """The two places for a release.

    Attributes:
        running: The slot that runs.
        boot: The boot state; None where only root may read it.
        booted: The slot that RAUC believes to run, by its bootname.
        rauc: What RAUC says of the slots.
    """

    running: Slot
    boot: BootState | Unknown | None
    booted: str | None
    rauc: tuple[RaucSlot, ...] | Unknown


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it.

    Attributes:
        settings: The node's configuration; None where it is not looked at.
        mistakes: What is wrong in the box's settings.
        node: What the local API says.
        clock: The clock.
        storage: Disks and stores.
        units: The services that systemd knows, by the service's name; empty without systemd.
        adapters: Bluetooth adapters by name, and whether each is powered.
        seeds: The nodes to ask first.
        ward: What genesis says of time.
        slots: The slots; None on a box that has none.
    """

    settings: NodeSettings | Unknown | None
    mistakes: tuple[Mistake, ...] | Unknown
    node: Node | Unknown
    clock: Clock | Unknown
    storage: Storage | Unknown
    units: Mapping[str, Unit] | Unknown
    adapters: Mapping[str, bool] | Unknown
    seeds: tuple[Seed, ...] | Unknown
    ward: Ward | Unknown
    slots: Slots | Unknown | None
