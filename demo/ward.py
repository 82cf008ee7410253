"""A ward on one machine: the files of its boxes, their services as processes, their sensors."""

from __future__ import annotations

import contextlib
import json
import secrets
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from demo.supervisor import MORTAL, STOP_PATIENCE, Supervisor, Unit
from edgenode.api.client import NodeClient
from edgenode.cli.new_genesis import new_genesis
from edgenode.ledger.genesis import Genesis, Member
from edgenode.ledger.genesis_file import format_genesis
from edgenode.ledger.keys import MemberKey
from edgenode.mining import kernels
from edgenode.native import _kernels
from edgenode.storage.keyfile import write_key

SERVICES = ("gossip", "collector", "trainer", "miner", "exporter")
LOOPBACK = "127.0.0.1"
RADIO_PATIENCE = 60.0

HALF_LIFE_SPACINGS = 8
"""A ward that lives for minutes must find its pace within a few blocks; one that lives for years
takes the default and lets luck average out."""

BUSY_MACHINE = 0.5
"""What is left of a core for a miner, which is nicer than all else, on a machine that also runs
the other services of four boxes."""

MOST_STARTS = 5
"""A service that was started more often in a run of minutes does not work."""

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Twenty processes that each start a thread for every core would stand in each other's way."""


class WardError(Exception):
    """The ward cannot be set up; the message says why."""


@dataclass(frozen=True, slots=True)
class WardPlan:
    """What ward to set up.

    Attributes:
        directory: Where all its files go; made if it is missing, its socket paths stay short.
        people: For each box, the people whose recordings its wearable replays.
        recordings: The recordings; None for boxes without sensors.
        speed: Times life at which they are replayed.
        spacing: Seconds between blocks.
        share: Share of its time that a miner hashes.
        services: What runs on each box.
        hash_rate: Hashes per second of the whole ward; None to measure this machine.
        trainer: Lines for the [trainer] table.
    """

    directory: Path
    people: Sequence[Sequence[int]]
    recordings: Path | None = None
    speed: float = 10.0
    spacing: int = 6
    share: float = 0.2
    services: Sequence[str] = SERVICES
    hash_rate: float | None = None
    trainer: Sequence[str] = ()


@dataclass(slots=True)
class Box:
    """One box: its name, files and ports."""

    name: str
    directory: Path
    key: MemberKey
    sync: int
    broadcast: int
    metrics: int
    host: str = LOOPBACK
    adapter: str = ""
    sensors: Sequence[str] = ()
    namespace: str | None = None
    client: NodeClient = field(init=False)

    def __post_init__(self) -> None:
        """Prepare the client of its local API."""
        self.client = NodeClient(self.api)

    @property
    def api(self) -> Path:
        """Socket of its local API."""
        return self.directory / "node.sock"

    @property
    def config(self) -> Path:
        """Its configuration."""
        return self.directory / "edgenode.toml"

    def unit_name(self, service: str) -> str:
        """Name of one of its services."""
        return f"{self.name}/{service}"


class Ward:
    """Boxes under one supervisor."""

    def __init__(self, plan: WardPlan) -> None:
        """Write keys, genesis and configurations; nothing runs yet.

        Raises:
            WardError: the directory holds a ward already.
        """
        self.plan = plan
        self.supervisor = Supervisor()
        if (plan.directory / "genesis.toml").exists():
            raise WardError(f"{plan.directory} holds a ward already; remove it or name another")
        plan.directory.mkdir(parents=True, exist_ok=True)
        ports = free_ports(3 * len(plan.people))
        self.boxes = [
            Box(
                name=f"bed-{n}",
                directory=plan.directory / f"bed-{n}",
                key=MemberKey.generate(),
                sync=ports.pop(),
                broadcast=ports.pop(),
                metrics=ports.pop(),
            )
            for n in range(1, len(plan.people) + 1)
        ]
        self.genesis = self._found()
        self._radio: subprocess.Popen[str] | None = None
        self._played = False

    def start(self) -> None:
        """Start the sensors, then all services of all boxes.

        Raises:
            WardError: the radio did not come up.
        """
        if self.plan.recordings is not None:
            self._start_radio(self.plan.recordings)
        for box in self.boxes:
            self.configure(box)
            self.start_box(box)

    def start_box(self, box: Box) -> None:
        """Start the services of one box."""
        for service in self.services_of(box):
            self.supervisor.start(self._unit(box, service))

    def stop_box(self, box: Box, *, kill: bool = False) -> None:
        """End the services of one box; with `kill` as a power cut does."""
        names = [box.unit_name(service) for service in self.services_of(box)]
        self.supervisor.stop(names, kill=kill)

    def services_of(self, box: Box) -> list[str]:
        """What runs on a box: a box without sensor neither collects nor trains."""
        return [s for s in self.plan.services if box.adapter or s not in {"collector", "trainer"}]

    def close(self) -> None:
        """End everything."""
        try:
            self.supervisor.close()
        finally:
            self._stop_radio()

    def failures(self) -> list[str]:
        """What should run and does not, or not for long: with the reason and its log."""
        found = self.supervisor.failures()
        found += [
            f"{unit.name}: was started {unit.starts} times; see {unit.log}"
            for unit in self.supervisor.units()
            if unit.starts > MOST_STARTS and not unit.failed
        ]
        if self._radio is not None and (status := self._radio.poll()) is not None:
            found.append(f"the virtual radio ended with status {status}; see {self._radio_log}")
        return found

    def restarts(self) -> dict[str, int]:
        """Services that were started more than once, and how often."""
        return {unit.name: unit.starts for unit in self.supervisor.units() if unit.starts > 1}

    def played(self) -> bool:
        """Whether all recordings have been played to their end."""
        if not self._played and self._radio is not None and self._radio.stdout is not None:
            # The radio says so in its second line. The end of its output is readable, but no line.
            ready, _, _ = select.select([self._radio.stdout], [], [], 0)
            self._played = bool(ready and self._radio.stdout.readline())
        return self._played

    def configure(self, box: Box) -> None:
        """Write a box's configuration."""
        seeds = [f'"{b.host}:{b.sync}"' for b in self.boxes if b is not box][:2]
        tables = [
            f"""\
[node]
name = "{box.name}"
state = "state"
api = "node.sock"
genesis = "../genesis.toml"

[gossip]
sync = "{box.host}:{box.sync}"
broadcast = "{box.host}:{box.broadcast}"
seeds = [{", ".join(seeds)}]
ward_key = "../ward.key"
member_key = "member.key"

[miner]
threads = 1
share = {self.plan.share}
ceiling_celsius = 110  # a PC's processor is warmer than a box's, and cares for itself

[exporter]
listen = "{LOOPBACK}:{box.metrics}"
"""
        ]
        if box.adapter:
            sensors = ", ".join(f'"{address}"' for address in box.sensors)
            tables.append(f'[collector]\nadapter = "{box.adapter}"\nsensors = [{sensors}]\n')
            tables.append("\n".join(['[trainer]\nmodel = "activity"', *self.plan.trainer, ""]))
        box.config.write_text("\n".join(tables))

    def _found(self) -> Genesis:
        directory = self.plan.directory
        write_key(directory / "ward.key", secrets.token_bytes(32), "the ward's key")
        for box in self.boxes:
            box.directory.mkdir()
            write_key(box.directory / "member.key", box.key.seed, f"member key of {box.name}")
        rate = self.plan.hash_rate or self._measured_hash_rate()
        genesis = new_genesis(
            name="demo ward",
            time=int(time.time()) - self.plan.spacing,
            members=[Member(box.name, box.key.public.hex()) for box in self.boxes],
            models=["activity"],
            spacing=self.plan.spacing,
            hash_rate=rate,
            half_life=HALF_LIFE_SPACINGS * self.plan.spacing,
        )
        (directory / "genesis.toml").write_text(format_genesis(genesis))
        return genesis

    def _measured_hash_rate(self) -> float:
        """Hashes per second that all miners will make, from a short search on one core."""
        kernel = kernels.fastest()  # which the miners will also take
        count = 1 << 18
        began = time.process_time()
        _kernels.search(bytes(80), bytes(32), 0, count, kernel)
        rate = count / (time.process_time() - began)
        return BUSY_MACHINE * rate * len(self.boxes) * self.plan.share

    @property
    def _radio_log(self) -> Path:
        return self.plan.directory / "radio.log"

    def _start_radio(self, recordings: Path) -> None:
        command = [*MORTAL, sys.executable, "-m", "demo.radio", "--recordings", str(recordings)]
        command += ["--speed", str(self.plan.speed), "--once"]
        for people in self.plan.people:
            command += ["--box", f"people={','.join(map(str, people))}"]
        with self._radio_log.open("wb") as errors:
            self._radio = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        assert self._radio.stdout is not None
        ready, _, _ = select.select([self._radio.stdout], [], [], RADIO_PATIENCE)
        line = self._radio.stdout.readline() if ready else ""
        if not line:
            raise WardError(f"the virtual radio did not come up; see {self._radio_log}")
        for box, offered in zip(self.boxes, json.loads(line)["boxes"], strict=True):
            box.adapter, box.sensors = offered["adapter"], offered["sensors"]

    def _stop_radio(self) -> None:
        if self._radio is None:
            return
        self._radio.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._radio.wait(STOP_PATIENCE)
        self._radio.kill()
        self._radio.wait()

    def _unit(self, box: Box, service: str) -> Unit:
        name = box.unit_name(service)
        program = Path(sys.executable).with_name(f"edgenode-{service}")
        command = [str(program), "--config", str(box.config)]
        if box.namespace is not None:
            command = ["ip", "netns", "exec", box.namespace, *command]
        try:
            unit = self.supervisor.unit(name)
        except KeyError:
            log = box.directory / "log" / f"{service}.log"
            return Unit(name, command, log, _ONE_THREAD)
        return replace(unit, command=command) if unit.command != command else unit


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on, for TCP and UDP alike."""
    held: list[socket.socket] = []
    ports: list[int] = []
    try:
        while len(ports) < count:
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            held.append(udp)
            udp.bind((LOOPBACK, 0))
            port = int(udp.getsockname()[1])
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            held.append(tcp)
            try:
                tcp.bind((LOOPBACK, port))
            except OSError:
                continue
            ports.append(port)
    finally:
        for each in held:
            each.close()
    return ports
