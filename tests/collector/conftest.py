"""Fixtures: the air around one box, and collectors that are ended with their test."""

import asyncio
import os
import signal
import subprocess

import pytest

from demo.radio import Radio
from tests.collector.bluez_stand_in import BluezStandIn
from tests.collector.ward import BOX, Air, CollectorProcess
from tests.conftest import require_tool


@pytest.fixture
async def air():
    radio = Radio()
    port = await radio.serve(radio.controller("box", BOX))
    air = Air(radio, port)
    yield air
    for task in air.playing:
        task.cancel()
    await asyncio.gather(*air.playing, return_exceptions=True)
    radio.close()


@pytest.fixture
def collector(tmp_path, air):
    """Makes collectors for the box of `air`, and ends those that a test leaves."""
    made = []

    def make(name="box", adapter=None, **options):
        directory = tmp_path / name
        directory.mkdir(mode=0o700)
        made.append(CollectorProcess(directory, adapter or air.adapter, **options))
        return made[-1]

    yield make
    for one in made:
        if one.process is not None and one.process.poll() is None:
            os.kill(one.process.pid, signal.SIGKILL)
            one.process.wait()


@pytest.fixture
def bus(tmp_path, monkeypatch):
    """A message bus with nobody on it."""
    command = [require_tool("dbus-daemon", "dbus-daemon"), "--session", "--nofork", "--nopidfile"]
    with subprocess.Popen(
        [*command, "--print-address", "--address", f"unix:path={tmp_path / 'bus'}"],
        stdout=subprocess.PIPE,
        text=True,
    ) as daemon:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", daemon.stdout.readline().strip())
        yield
        daemon.terminate()


@pytest.fixture
async def bluez(bus):
    """Starts the stand-in for bluetoothd, once or again, and ends those that a test leaves."""
    started = []

    async def start(**options):
        started.append(await BluezStandIn.start(**options))
        return started[-1]

    yield start
    for daemon in started:
        daemon.kill()
