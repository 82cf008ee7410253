"""What happens around BlueZ while sensors stream: the real central and bleak, on a real D-Bus."""

import asyncio
import time

import pytest

from edgenode.collector import bluez as central
from edgenode.collector import collector as collecting
from edgenode.collector import imu_service
from edgenode.collector import sensor as sensors
from edgenode.collector.bluez import BluezCentral
from edgenode.collector.collector import Collector
from edgenode.collector.counters import Counters
from tests.collector.bluez_stand_in import Records, reading
from tests.collector.ward import WEARABLE, until


@pytest.fixture(autouse=True)
def impatience(monkeypatch):
    """Pauses and bounds that let a test take seconds."""
    monkeypatch.setattr(sensors, "SHORTEST_PAUSE_S", 0.02)
    monkeypatch.setattr(sensors, "LONGEST_PAUSE_S", 0.1)
    monkeypatch.setattr(sensors, "SILENCE_S", 0.5)
    monkeypatch.setattr(collecting, "SILENCE_S", 0.5)
    monkeypatch.setattr(central, "REQUEST_TIMEOUT_S", 0.5)
    monkeypatch.setattr(central, "CONNECT_TIMEOUT_S", 0.5)
    monkeypatch.setattr(central, "COMMAND_TIMEOUT_S", 0.5)
    monkeypatch.setattr(central, "DISCONNECT_TIMEOUT_S", 0.5)
    monkeypatch.setattr(collecting, "ADAPTER_SHORTEST_PAUSE_S", 0.02)
    monkeypatch.setattr(collecting, "ADAPTER_LONGEST_PAUSE_S", 0.1)


async def until_more_samples(counters):
    seen = counters.samples
    await until(lambda: counters.samples > seen + 10, "samples")


@pytest.mark.parametrize("known", [False, True])
async def test_data_flow_again_when_a_killed_bluetoothd_is_back(bluez, known):
    daemon = await bluez()
    async with reading() as (counters, _):
        await until_more_samples(counters)
        daemon.kill()
        await bluez(known=known)
        await until_more_samples(counters)
        assert counters.reconnects >= 1


async def test_a_connection_that_delivers_nothing_is_ended_and_made_anew(bluez, caplog):
    caplog.set_level("INFO")
    daemon = await bluez()
    async with reading() as (counters, _):
        await until_more_samples(counters)
        daemon.mute = True
        await until(lambda: "Disconnect" in daemon.calls, "the disconnection")
        daemon.mute = False
        await until_more_samples(counters)
    lost = [record for record in caplog.records if record.getMessage() == "sensor is lost"]
    assert "no valid notification came for 0.5 s" in lost[0].reason


async def test_a_sensor_that_only_sends_rubbish_is_not_heard(bluez):
    daemon = await bluez()
    daemon.rubbish = True
    async with reading() as (counters, _):
        await until(lambda: counters.malformed > 2, "rubbish")
        await until(lambda: "Disconnect" in daemon.calls, "the disconnection")
        assert counters.samples == 0


async def test_a_connection_that_outlived_a_killed_collector_is_taken_over(bluez):
    daemon = await bluez(known=True)
    daemon._connect()
    async with reading() as (counters, _):
        await until_more_samples(counters)
        assert "StartDiscovery" not in daemon.calls


async def test_a_sensor_that_disconnects_often_costs_no_connections_to_the_bus(bluez):
    daemon = await bluez()
    async with reading() as (counters, _):
        await until_more_samples(counters)
        before = await daemon.connections()
        for n in range(1, 6):
            daemon.drop()
            await until(lambda n=n: counters.reconnects >= n, "the sensor to be back")
        await until_more_samples(counters)
        assert await daemon.connections() <= before + 1  # one may be on its way out


@pytest.mark.parametrize("members", [["ReadValue", "Disconnect"], ["Connect", "Disconnect"]])
async def test_data_flow_again_after_calls_that_bluetoothd_never_answered(bluez, members):
    daemon = await bluez()
    for member in members:
        daemon.hold(member)
    async with reading() as (counters, _):
        await until(lambda: set(members) <= set(daemon.calls), "the calls")
        daemon.held.clear()
        await until_more_samples(counters)


async def test_a_collector_ends_although_bluetoothd_does_not_answer(bluez):
    daemon = await bluez()
    async with reading() as (counters, _):
        await until_more_samples(counters)
        daemon.hold("Disconnect")
    assert counters.connected_sensors == 0


@pytest.mark.parametrize("turns", range(4))
async def test_a_collector_ends_that_is_stopped_in_the_moment_in_which_it_loses_its_sensor(
    bluez, monkeypatch, turns
):
    daemon = await bluez()
    loop, lost = asyncio.get_running_loop(), sensors.Sensor.lost
    async with reading() as (counters, _):
        await until_more_samples(counters)
        (collecting_task,) = (
            task for task in asyncio.all_tasks() if "Collector.run" in repr(task.get_coro())
        )

        def cancel_after(turns):
            if turns:
                loop.call_soon(cancel_after, turns - 1)
            else:
                collecting_task.cancel()

        def cancel_and_lose(*arguments):
            cancel_after(turns)
            lost(*arguments)

        monkeypatch.setattr(sensors.Sensor, "lost", cancel_and_lose)
        daemon.drop()
        await until(collecting_task.done, "the collector to end")


async def test_a_scan_ends_that_is_cancelled_in_the_moment_in_which_it_finds_its_sensor(bluez):
    class CancelsWhenSeen(dict):
        def __setitem__(self, address, device):
            super().__setitem__(address, device)
            scan.cancel()

    await bluez()
    adapter = BluezCentral("hci0")
    adapter._seen = CancelsWhenSeen()
    scan = asyncio.create_task(adapter.scan(imu_service.SERVICE, [WEARABLE], 60.0))
    with pytest.raises(asyncio.CancelledError):
        await scan


async def test_data_flow_although_the_beginning_of_a_scan_was_answered_too_late(bluez):
    daemon = await bluez()
    answer = daemon.hold("StartDiscovery")
    async with reading() as (counters, _):
        await until(lambda: counters.adapter_failures > 1, "the scan to be given up")
        daemon.held.clear()
        answer.set()
        await until_more_samples(counters)


async def test_an_adapter_that_opens_but_does_not_scan_is_left_alone_for_longer(bluez):
    daemon = await bluez()
    daemon.refused.add("StartDiscovery")
    counters = Counters()
    collector = Collector((WEARABLE,), Records(), counters, next_stream=1, clock=time.monotonic)
    task = asyncio.create_task(collector.run(lambda: BluezCentral("hci0")))
    await until(lambda: counters.adapter_failures > 5, "failures")
    assert collector._adapter_pause == collecting.ADAPTER_LONGEST_PAUSE_S
    daemon.refused.clear()
    await until_more_samples(counters)
    assert collector._adapter_pause == collecting.ADAPTER_SHORTEST_PAUSE_S
    task.cancel()
    await asyncio.wait({task})
