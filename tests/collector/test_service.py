"""The collector's service loop, in this process."""

import asyncio
import logging
import os
import signal
from dataclasses import replace

import pytest
from bumble.hci import HCI_Error
from bumble.transport.common import TransportLostError

from edgenode.collector.collector import Collector
from edgenode.collector.counters import COUNTER_NAMES
from edgenode.collector.settings import CollectorSettings
from edgenode.services.collector import _is_news, run
from edgenode.storage.samples import StoreError
from edgenode.storage.samples_reader import BEGINNING, SampleReader
from tests.collector.ward import WEARABLE, series, until


@pytest.fixture
def settings(air, tmp_path):
    return CollectorSettings(
        adapter=air.adapter,
        sensors=(WEARABLE,),
        database=tmp_path / "samples" / "samples.db",
        commit_within_s=0.05,
    )


async def test_the_heartbeat_tells_all_counters_and_the_last_one_is_complete(air, settings):
    beats, ready = [], asyncio.Event()
    service = asyncio.create_task(run(settings, heartbeat=beats.append, ready=ready.set))
    await ready.wait()
    await air.wearable(series(1), loop=True)
    await until(lambda: beats and beats[-1]["stored_samples"] > 0, "stored samples")
    assert beats[-1]["connected_sensors"] == 1
    assert set(beats[-1]) == set(COUNTER_NAMES)
    assert all(isinstance(value, float) for value in beats[-1].values())
    os.kill(os.getpid(), signal.SIGTERM)
    await service
    last = beats[-1]
    assert last["connected_sensors"] == 0
    assert last["stored_samples"] == last["samples"] > 0


async def test_the_age_of_the_last_sample_grows_while_no_sensor_speaks(settings):
    beats = []
    service = asyncio.create_task(run(settings, heartbeat=beats.append))
    await until(lambda: len(beats) >= 2, "two heartbeats")
    assert 0 <= beats[0]["last_sample_age_seconds"] < beats[1]["last_sample_age_seconds"]
    os.kill(os.getpid(), signal.SIGTERM)
    await service


async def test_a_store_that_cannot_be_opened_ends_the_service(settings, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    with pytest.raises(StoreError, match="open to others"):
        await run(replace(settings, database=shared / "samples.db"))


async def test_an_error_in_the_collecting_is_raised_after_what_waits_was_committed(
    air, settings, monkeypatch
):
    """A bug must not cost the samples that were received before it."""
    beats = []
    service = asyncio.create_task(
        run(replace(settings, commit_within_s=60.0), heartbeat=beats.append)
    )
    await air.wearable(series(1), loop=True)
    await until(lambda: beats and beats[-1]["samples"] > 0, "samples")

    async def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(Collector, "_until_something_ends", broken)
    for controller in air.radio.link.controllers:
        if controller.name.startswith("wearable"):
            controller.power_off()
    with pytest.raises(RuntimeError, match="a bug"):
        await service
    records, _ = SampleReader(settings.database).read_after(BEGINNING, 1000)
    assert sum(len(getattr(record, "values", ())) for record in records) == beats[-1]["samples"]


@pytest.mark.parametrize("logger", ["bumble.host", "asyncio"])
def test_a_traceback_is_logged_unless_it_is_one_of_bumbles_own_errors(logger):
    def record(error):
        return logging.LogRecord(
            logger, logging.ERROR, "", 0, "Exception", (), (type(error), error, None)
        )

    assert not _is_news(record(TransportLostError("transport lost")))
    assert not _is_news(record(HCI_Error(0x16)))
    assert _is_news(record(TypeError("a bug")))
    assert _is_news(logging.LogRecord(logger, logging.ERROR, "", 0, "no error", (), None))
