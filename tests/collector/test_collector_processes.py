"""The collector as a process of its own, against real Bluetooth peripherals over virtual radio."""

import asyncio
import json
import re
import signal
import subprocess
import sys

import pytest

import demo.wearable
from datasets.recordings import save
from edgenode.collector.imu_service import AnnotationMark, Description, Samples, encode_samples
from edgenode.tasks.stream import Annotation
from tests.collector.ward import WEARABLE, series, until

pytestmark = pytest.mark.processes


def notified_samples(wearable):
    """One (index, values) for each sample that the wearable notified, in order."""
    return [
        (what.first + n, tuple(map(int, row)))
        for what in wearable.heard
        if isinstance(what, Samples)
        for n, row in enumerate(what.values)
    ]


async def test_every_notified_sample_is_stored_exactly_once(air, collector):
    box = collector().start()
    wearable = await air.wearable(series(6))
    await air.playing[0]
    notified = notified_samples(wearable)
    assert len(notified) == 6 * 200
    await until(lambda: len(box.samples()) >= len(notified), "all samples to be stored")
    await box.stop()
    stored = box.samples()
    assert {stream for stream, _, _ in stored} == {1}
    assert [(index, values) for _, index, values in stored] == notified
    marks = [what for what in wearable.heard if isinstance(what, AnnotationMark)]
    annotations = [record for record in box.records() if isinstance(record, Annotation)]
    assert [(a.first, a.code) for a in annotations] == [(mark.first, mark.code) for mark in marks]
    counters = box.counters()
    assert counters["samples"] == counters["stored_samples"] == len(notified)
    assert counters["notifications"] == len(wearable.heard)
    assert (counters["gaps"], counters["malformed"], counters["duplicates"]) == (0, 0, 0)


async def test_malformed_notifications_are_counted_and_the_connection_stays(air, collector):
    box = collector().start()
    wearable = await air.wearable(series(1), loop=True)
    await until(lambda: len(box.samples()) > 50, "samples")
    for n in range(30):
        await wearable.notify_raw(wearable.samples, bytes(n % 6))
        await wearable.notify_raw(wearable.annotation, bytes([0, 0, 0, 0, 8 + n]))
    seen = len(box.samples())
    await until(lambda: len(box.samples()) > seen + 100, "samples after the malformed ones")
    await box.stop()
    counters = box.counters()
    assert counters["malformed"] == 60
    assert (counters["streams"], counters["reconnects"]) == (1, 0)
    assert len(re.findall("malformed notification", box.text())) == 1


async def test_a_gap_is_counted_with_its_size_and_a_repetition_is_dropped(air, collector):
    box = collector().start()
    wearable = await air.wearable(series(1), loop=True)
    await until(lambda: len(box.samples()) > 50, "samples")
    wearable.lose(123)
    seen = len(box.samples())
    await until(lambda: len(box.samples()) > seen + 100, "samples after the gap")
    last = next(what for what in reversed(wearable.heard) if isinstance(what, Samples))
    await wearable.notify_raw(wearable.samples, encode_samples(last))
    seen = len(box.samples())
    await until(lambda: len(box.samples()) > seen + 100, "samples after the repetition")
    await box.stop()
    counters = box.counters()
    assert (counters["gaps"], counters["missing_samples"]) == (1, 123)
    assert (counters["duplicates"], counters["streams"]) == (1, 1)
    indices = [index for _, index, _ in box.samples()]
    assert len(set(indices)) == len(indices)
    assert indices[-1] - indices[0] + 1 == len(indices) + 123


async def test_a_killed_collector_continues_with_a_new_stream(air, collector):
    box = collector().start()
    wearable = await air.wearable(series(3), loop=True)
    for killed in range(1, 4):
        await until(lambda k=killed: box.samples()[-1:] and box.samples()[-1][0] >= k, "a stream")
        seen = len(box.samples())
        await until(lambda s=seen: len(box.samples()) > s + 100, "samples")
        await box.kill()
        box.start()
    await until(lambda: box.samples()[-1][0] >= 4, "the last stream")
    await box.stop()
    stored = box.samples()
    streams = sorted({stream for stream, _, _ in stored})
    assert streams == [1, 2, 3, 4]
    notified = dict(notified_samples(wearable))
    indices = [index for _, index, _ in stored]
    assert indices == sorted(set(indices))
    assert all(notified[index] == values for _, index, values in stored)


async def test_what_waits_for_its_commit_is_stored_when_the_collector_is_stopped(air, collector):
    box = collector(commit_within_s=60.0).start()
    wearable = await air.wearable(series(2))
    await air.playing[0]
    await until(lambda: "is streaming" in box.text(), "the connection")
    notified = notified_samples(wearable)
    assert box.samples() == []
    await box.stop()
    assert [(index, values) for _, index, values in box.samples()] == notified


async def test_a_wearable_that_disconnects_is_found_again(air, collector):
    box = collector().start()
    wearable = await air.wearable(series(3), loop=True)
    await until(lambda: len(box.samples()) > 50, "samples")
    wearable.controller.power_off()
    wearable.device.connections.clear()
    await wearable.device.power_on()
    wearable._disconnected(0)
    await wearable._advertise()
    await until(lambda: box.samples()[-1][0] == 2, "a second stream")
    await box.stop()
    assert box.counters()["reconnects"] == 1


async def test_boxes_in_one_ward_read_only_their_own_sensors(air, collector):
    second = await air.radio.serve(air.radio.controller("box 2", "00:0E:00:00:00:02"))
    mine = collector("mine").start()
    other = "F0:0E:00:00:00:02"
    theirs = collector("theirs", f"bumble:tcp-client:127.0.0.1:{second}", sensors=[other]).start()
    first = await air.wearable(series(2, seed=1))
    stranger = await air.wearable(series(2, seed=2), "F0:0E:00:00:00:03")
    neighbour = await air.wearable(series(2, seed=3), other)
    await asyncio.gather(air.playing[0], air.playing[2])
    for box, wearable in ((mine, first), (theirs, neighbour)):
        count = len(notified_samples(wearable))
        assert count == 400
        await until(lambda b=box, n=count: len(b.samples()) >= n, "their samples")
    await mine.stop()
    await theirs.stop()
    assert [sample[1:] for sample in mine.samples()] == notified_samples(first)
    assert [sample[1:] for sample in theirs.samples()] == notified_samples(neighbour)
    assert stranger.heard == []


async def test_one_box_reads_several_sensors_at_once(air, collector):
    addresses = [f"F0:0E:00:00:00:{n:02X}" for n in range(1, 9)]
    box = collector(sensors=addresses).start()
    wearables = [
        await air.wearable(series(2, seed=n), address) for n, address in enumerate(addresses)
    ]
    for task in air.playing:
        await task
    total = sum(len(notified_samples(wearable)) for wearable in wearables)
    assert total == 8 * 400
    await until(lambda: len(box.samples()) >= total, "all samples")
    await box.stop()
    streams = {}
    for stream, index, values in box.samples():
        streams.setdefault(stream, []).append((index, values))
    expected = sorted(notified_samples(wearable) for wearable in wearables)
    assert sorted(streams.values()) == expected


def start_radio(recordings, port):
    command = [sys.executable, "-m", "demo.radio", "--recordings", str(recordings), "--speed", "20"]
    process = subprocess.Popen(
        [*command, "--box", f"people=1 port={port}"], stdout=subprocess.PIPE, text=True
    )
    ready = json.loads(process.stdout.readline())
    return process, ready["boxes"][0]


async def test_data_flow_again_when_a_killed_radio_is_back(tmp_path, collector):
    recordings = tmp_path / "recordings.npz"
    save(recordings, series(3))
    radio, ready = start_radio(recordings, 0)
    try:
        assert ready["sensors"] == [WEARABLE]
        box = collector(adapter=ready["adapter"]).start()
        await until(lambda: len(box.samples()) > 50, "samples")
        radio.kill()
        radio.wait()
        await until(lambda: "is lost" in box.text(), "the loss to be noticed")
        radio, ready = start_radio(recordings, ready["adapter"].rpartition(":")[2])
        await until(lambda: box.samples()[-1][0] == 2, "a second stream")
        await box.stop()
        counters = box.counters()
        assert counters["reconnects"] == 1
        assert counters["adapter_failures"] >= 1
        radio.send_signal(signal.SIGTERM)
        assert radio.wait() == 0
    finally:
        radio.kill()
        radio.wait()


@pytest.mark.parametrize("abruptly", [False, True])
async def test_an_adapter_that_goes_amid_a_command_is_told_in_our_words_only(collector, abruptly):
    gone = 0

    async def accept(reader, writer):
        nonlocal gone
        await reader.read(1)
        if abruptly:
            writer.transport.abort()
        writer.close()
        gone += 1

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        box = collector(adapter=f"bumble:tcp-client:127.0.0.1:{port}").start()
        await until(lambda: gone >= 3, "three attempts")
        await box.stop()
    assert 'the adapter failed error="adapter tcp-client:' in box.text()
    for line in box.text().splitlines():
        assert re.match(r"(INFO|WARNING|ERROR) (edgenode\.|__main__)", line), box.text()


async def test_a_collector_whose_adapter_is_not_there_yet_waits_for_it(tmp_path, collector):
    recordings = tmp_path / "recordings.npz"
    save(recordings, series(3))
    radio, ready = start_radio(recordings, 0)
    radio.kill()
    radio.wait()
    box = collector(adapter=ready["adapter"]).start()
    await until(lambda: "adapter tcp-client" in box.text(), "the adapter to be missed")
    radio, _ = start_radio(recordings, ready["adapter"].rpartition(":")[2])
    try:
        await until(lambda: len(box.samples()) > 50, "samples")
        await box.stop()
    finally:
        radio.kill()
        radio.wait()


async def test_a_sensor_of_another_rate_is_refused_and_others_are_read(air, collector, monkeypatch):
    monkeypatch.setattr(demo.wearable, "_DESCRIPTION", Description(25_000, 4096, 1024))
    odd = await air.wearable(series(1, seed=2), "F0:0E:00:00:00:02")
    monkeypatch.undo()
    wearable = await air.wearable(series(2))
    box = collector(sensors=["F0:0E:00:00:00:02", WEARABLE]).start()
    await air.playing[1]
    count = len(notified_samples(wearable))
    await until(lambda: len(box.samples()) >= count, "the samples of the other sensor")
    await until(lambda: "rate_millihertz=25000" in box.text(), "the refusal")
    await box.stop()
    assert [sample[1:] for sample in box.samples()] == notified_samples(wearable)
    assert odd.heard == []
    assert box.counters()["connection_failures"] >= 1


async def test_a_damaged_store_is_replaced_at_the_start_and_collecting_begins(air, collector):
    box = collector()
    box.database.parent.mkdir(parents=True, mode=0o700)
    box.database.write_bytes(b"no database" * 1000)
    box.start()
    await air.wearable(series(2), loop=True)
    await until(lambda: "samples.db.damaged-1" in box.text(), "the damage to be noticed")
    await until(lambda: len(box.samples()) > 50, "samples")
    await box.stop()


async def test_an_empty_list_of_sensors_is_refused(collector):
    box = collector(sensors=[]).start()
    await until(lambda: box.process.poll() is not None, "the collector to refuse")
    assert box.process.returncode == 5
    assert "sensors" in box.text()
    assert "empty" in box.text()
    assert not box.database.exists()
