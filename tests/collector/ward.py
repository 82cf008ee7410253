"""A radio and its wearables in the test's own process, and collectors as real processes."""

import asyncio
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from datasets.recordings import Series
from demo.radio import Radio
from demo.wearable import Wearable
from edgenode.storage.samples_reader import BEGINNING, SampleReader
from edgenode.tasks.stream import SampleBlock

BOX = "00:0E:00:00:00:01"
WEARABLE = "F0:0E:00:00:00:01"
# Only so that a test that hangs ends; no test measures time.
PATIENCE_S = 120.0


async def until(condition, what):
    """Wait until `condition()` is true."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        await asyncio.sleep(0.02)


def series(count, length=150, seed=1):
    """Short made-up series, so that a test ends soon; every sample is different."""
    source = np.random.default_rng(seed)
    return [
        Series(1, 0, 1 + n % 7, source.integers(-32768, 32768, (length, 6)).astype(np.int16))
        for n in range(count)
    ]


@dataclass
class Air:
    """What is in the air: one box's controller on a TCP port, and wearables beside it."""

    radio: Radio
    port: int
    playing: list[asyncio.Task] = field(default_factory=list)

    @property
    def adapter(self):
        return f"bumble:tcp-client:127.0.0.1:{self.port}"

    async def wearable(self, what, address=WEARABLE, **options):
        """Switch a wearable on; `heard` collects what it notifies.

        It begins to measure when it is subscribed, so that nothing of its script is lost before.
        """
        wearable = Wearable(what, address, **{"speed": 20.0, "loop": False, **options})
        wearable.heard = []
        wearable.notified = wearable.heard.append
        controller = self.radio.controller(f"wearable {address}", "00:00:00:00:00:00")
        await wearable.power_on(controller)
        wearable.controller = controller

        async def play():
            await wearable.subscribed()
            await wearable.play()

        self.playing.append(asyncio.create_task(play()))
        return wearable


class CollectorProcess:
    """`edgenode-collector` as systemd would start it."""

    def __init__(self, directory: Path, adapter: str, **options):
        self.directory = directory
        self.database = directory / "state" / "samples" / "samples.db"
        self.log = directory / "collector.log"
        self.config = directory / "node.toml"
        sensors = options.pop("sensors", [WEARABLE])
        lines = [f"{key} = {value}" for key, value in {"commit_within_s": 0.05, **options}.items()]
        self.config.write_text(
            textwrap.dedent(
                f"""
                [node]
                name = "box"
                state = "{directory / "state"}"
                [collector]
                adapter = "{adapter}"
                sensors = {sensors}
                """
            )
            + "\n".join(lines)
            + "\n"
        )
        self.process = None

    def start(self):
        command = [sys.executable, "-m", "edgenode.services.collector", "--config"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([*command, str(self.config)], stderr=log)
        return self

    async def stop(self):
        self.process.send_signal(signal.SIGTERM)
        await until(lambda: self.process.poll() is not None, "the collector to stop")
        assert self.process.returncode == 0, self.text()

    async def kill(self):
        self.process.kill()
        await until(lambda: self.process.poll() is not None, "the collector to die")

    def text(self):
        return self.log.read_text()

    def counters(self):
        """What the last line says."""
        last = [line for line in self.text().splitlines() if ": stopped " in line][-1]
        pairs = last.split(": stopped ")[1].split()
        return {name: float(value) for name, _, value in (pair.partition("=") for pair in pairs)}

    def records(self):
        """Everything stored so far."""
        reader, cursor, records = SampleReader(self.database), BEGINNING, []
        while True:
            more, cursor = reader.read_after(cursor, 1000)
            if not more:
                reader.close()
                return records
            records += more

    def samples(self):
        """Everything stored so far, one (stream, index, values) for each sample, in order."""
        return [
            (record.stream, record.first + n, tuple(map(int, row)))
            for record in self.records()
            if isinstance(record, SampleBlock)
            for n, row in enumerate(record.values)
        ]
