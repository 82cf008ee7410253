"""Fixtures: the air around one box, and collectors that are ended with their test."""

import asyncio
import os
import signal

import pytest

from demo.radio import Radio
from tests.collector.ward import BOX, Air, CollectorProcess


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
