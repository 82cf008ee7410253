"""The virtual radio: what a collector may rely on when hosts and peripherals come and go."""

import asyncio

import numpy as np
import pytest

from datasets.recordings import Series, save
from demo.radio import Radio
from demo.ward import Ward, WardPlan
from demo.wearable import Wearable
from edgenode.collector import imu_service
from edgenode.collector.bumble import BumbleCentral
from tests.collector.ward import until

ADDRESS = "F0:0E:00:00:00:01"
SERIES = [Series(1, 0, 1, np.ones((100, 6), np.int16))]


async def test_a_host_that_reads_nothing_loses_its_controller():
    radio = Radio()
    controller = radio.controller("box", "00:0E:00:00:00:01")
    port = await radio.serve(controller)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await until(lambda: controller.host is not None, "the host")
    reader._transport.pause_reading()
    for _ in range(100_000):
        if controller.host is None:
            break
        controller.host.on_packet(bytes(65536))
        await asyncio.sleep(0)
    assert controller.host is None
    writer.close()
    radio.close()


async def test_a_host_that_died_in_the_middle_of_a_packet_leaves_nothing_behind():
    radio = Radio()
    wearable = Wearable(SERIES, ADDRESS)
    await wearable.power_on(radio.controller("wearable", "00:00:00:00:00:00"))
    port = await radio.serve(radio.controller("box", "00:0E:00:00:00:01"))
    for torn in (b"\x01\x03", b"\x02\x01\x00\xff\x00half", b"\xffgarbage"):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(torn)
        await writer.drain()
        writer.transport.abort()
        central = BumbleCentral(f"tcp-client:127.0.0.1:{port}")
        await central.open()
        assert await central.scan(imu_service.SERVICE, [ADDRESS], 60.0) == ADDRESS
        await central.connect(ADDRESS, imu_service.SERVICE, lambda _: None)
        # No farewell: the peripheral must notice and advertise again.
        central._transport.sink.transport.abort()
        await until(lambda: wearable._connection is None, "the wearable to notice")
    radio.close()


@pytest.mark.processes
async def test_a_ward_knows_when_its_recordings_have_been_played_to_their_end(tmp_path):
    recordings = tmp_path / "recordings.npz"
    save(recordings, SERIES)
    ward = Ward(
        WardPlan(
            tmp_path / "ward", [(1,)], recordings, speed=50.0, services=(), hash_rate=1_000_000.0
        )
    )
    assert not ward.played()
    try:
        ward.start()
        assert not ward.played()
        (box,) = ward.boxes
        central = BumbleCentral(box.adapter.removeprefix("bumble:"))
        await central.open()
        (address,) = box.sensors
        assert await central.scan(imu_service.SERVICE, [address], 60.0) == address
        peripheral = await central.connect(address, imu_service.SERVICE, lambda _: None)
        await peripheral.subscribe(imu_service.SAMPLES, lambda _: None)
        await until(ward.played, "the end of the recordings")
        assert ward.failures() == []
        await central.close()
    finally:
        ward.close()
