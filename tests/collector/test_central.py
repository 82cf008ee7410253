"""What every `Central` must do. Here on Bumble; the BlueZ one needs a kernel with Bluetooth."""

import asyncio

import pytest

from demo.wearable import Wearable
from edgenode.collector import bumble, imu_service
from edgenode.collector.central import AdapterError, PeripheralError
from edgenode.collector.imu_service import decode_description, decode_samples
from tests.collector.ward import BOX, WEARABLE, series, until

STRANGER = "F0:0E:00:00:00:63"
OTHER_SERVICE = "0000180d-0000-1000-8000-00805f9b34fb"


@pytest.fixture
async def central(air):
    central = bumble.BumbleCentral(air.adapter.removeprefix("bumble:"))
    await central.open()
    yield central
    await central.close()


async def connected(air, central, ended=None):
    wearable = await air.wearable(series(2), loop=True)
    assert await central.scan(imu_service.SERVICE, [WEARABLE], 60.0) == WEARABLE
    reasons = [] if ended is None else ended
    return wearable, await central.connect(WEARABLE, imu_service.SERVICE, reasons.append)


async def test_a_scan_finds_a_wanted_peripheral(air, central):
    await air.wearable(series(1))
    assert await central.scan(imu_service.SERVICE, [WEARABLE], 60.0) == WEARABLE


async def test_a_scan_finds_a_peripheral_that_is_switched_on_later(air, central):
    scan = asyncio.create_task(central.scan(imu_service.SERVICE, [WEARABLE], 60.0))
    await asyncio.sleep(0.1)
    await air.wearable(series(1))
    assert await scan == WEARABLE


async def test_a_scan_passes_over_strangers_and_other_services(air, central):
    await air.wearable(series(1), STRANGER)
    assert await central.scan(imu_service.SERVICE, [WEARABLE], 0.5) is None
    assert await central.scan(OTHER_SERVICE, [STRANGER], 0.5) is None
    assert await central.scan(imu_service.SERVICE, [STRANGER], 60.0) == STRANGER


async def test_the_description_can_be_read(air, central):
    _, peripheral = await connected(air, central)
    description = decode_description(await peripheral.read(imu_service.DESCRIPTION))
    assert description.rate_millihertz == 50_000


async def test_notifications_arrive_as_they_were_sent(air, central):
    wearable, peripheral = await connected(air, central)
    received = []
    await peripheral.subscribe(imu_service.ANNOTATION, received.append)
    await peripheral.subscribe(imu_service.SAMPLES, received.append)
    await until(lambda: len(received) >= 20, "notifications")
    assert len(received[0]) == 5  # the annotation that is in force comes first
    sizes = {len(decode_samples(value).values) for value in received if len(value) > 5}
    assert max(sizes) == 19  # what an ATT_MTU of 247 carries
    await wearable.notify_raw(wearable.samples, b"")
    await wearable.notify_raw(wearable.samples, b"x" * 244)
    await until(lambda: b"x" * 244 in received and b"" in received, "odd values")


async def test_a_missing_service_or_characteristic_is_a_peripheral_error(air, central):
    _, peripheral = await connected(air, central)
    with pytest.raises(PeripheralError, match="characteristic"):
        await peripheral.read("1b02f0ff-54b1-4385-9496-2bdf306e2ed1")
    with pytest.raises(PeripheralError, match="does not notify"):
        await peripheral.subscribe(imu_service.DESCRIPTION, print)
    await peripheral.disconnect()
    assert await central.scan(imu_service.SERVICE, [WEARABLE], 60.0) == WEARABLE
    with pytest.raises(PeripheralError, match="service"):
        await central.connect(WEARABLE, OTHER_SERVICE, print)
    # The connection that was made for nothing has ended: the peripheral advertises again.
    assert await central.scan(imu_service.SERVICE, [WEARABLE], 60.0) == WEARABLE


async def test_the_end_of_a_connection_is_told_once_whoever_ends_it(air, central):
    reasons = []
    wearable, peripheral = await connected(air, central, reasons)
    await wearable.device.disconnect(wearable._connection, 0x13)
    await until(lambda: reasons, "the disconnection")
    assert reasons == ["REMOTE_USER_TERMINATED_CONNECTION_ERROR"]
    await peripheral.disconnect()
    assert await central.scan(imu_service.SERVICE, [WEARABLE], 60.0) == WEARABLE
    peripheral = await central.connect(WEARABLE, imu_service.SERVICE, reasons.append)
    await peripheral.disconnect()
    assert reasons[1:] == ["disconnected by the collector"]


async def test_a_request_on_a_connection_that_ends_is_a_peripheral_error(air, central):
    wearable, peripheral = await connected(air, central)
    read = asyncio.create_task(peripheral.read(imu_service.DESCRIPTION))
    await asyncio.sleep(0)
    wearable.controller.power_off()
    with pytest.raises(PeripheralError):
        await read
    with pytest.raises(PeripheralError):
        await peripheral.read(imu_service.DESCRIPTION)


async def test_a_peripheral_that_vanished_after_the_scan_is_a_peripheral_error(
    air, central, monkeypatch
):
    monkeypatch.setattr(bumble, "CONNECT_TIMEOUT_S", 0.2)
    wearable = await air.wearable(series(1))
    assert await central.scan(imu_service.SERVICE, [WEARABLE], 60.0) == WEARABLE
    wearable.controller.power_off()
    with pytest.raises(PeripheralError, match="no connection"):
        await central.connect(WEARABLE, imu_service.SERVICE, print)
    # The attempt was taken back: another one may be made.
    again = Wearable(series(1), WEARABLE)
    await again.power_on(air.radio.controller("again", "00:00:00:00:00:00"))
    assert await central.scan(imu_service.SERVICE, [WEARABLE], 60.0) == WEARABLE
    await central.connect(WEARABLE, imu_service.SERVICE, print)


async def test_a_lost_adapter_ends_connections_and_fails_what_follows(air, central):
    reasons = []
    _, peripheral = await connected(air, central, reasons)
    # Another host takes the controller over, as when an adapter is unplugged.
    other = bumble.BumbleCentral(air.adapter.removeprefix("bumble:"))
    await other.open()
    await until(lambda: reasons, "the disconnection")
    with pytest.raises(AdapterError, match="transport is gone"):
        await central.scan(imu_service.SERVICE, [WEARABLE], 60.0)
    with pytest.raises((AdapterError, PeripheralError)):
        await peripheral.read(imu_service.DESCRIPTION)
    assert await other.scan(imu_service.SERVICE, [WEARABLE], 60.0) == WEARABLE
    await other.close()
    assert reasons == ["the transport is gone"]


async def test_closing_ends_the_connections(air, central):
    reasons = []
    await connected(air, central, reasons)
    await central.close()
    assert len(reasons) == 1
    again = bumble.BumbleCentral(air.adapter.removeprefix("bumble:"))
    await again.open()
    assert await again.scan(imu_service.SERVICE, [WEARABLE], 60.0) == WEARABLE
    await again.close()


@pytest.mark.parametrize("name", ["tcp-client:127.0.0.1:1", "tcp-client:nonsense", "no-such:thing"])
async def test_an_adapter_that_is_not_there_is_an_adapter_error(name):
    central = bumble.BumbleCentral(name)
    with pytest.raises(AdapterError, match=name):
        await central.open()
    await central.close()


async def test_an_adapter_that_does_not_answer_is_an_adapter_error(monkeypatch):
    monkeypatch.setattr(bumble, "COMMAND_TIMEOUT_S", 0.2)
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    central = bumble.BumbleCentral(f"tcp-client:127.0.0.1:{port}")
    with pytest.raises(AdapterError, match="no answer"):
        await central.open()
    await central.close()
    server.close()


async def test_the_box_connects_with_its_public_address(air, central):
    wearable, _ = await connected(air, central)
    assert wearable._connection.peer_address.to_string(with_type_qualifier=False) == BOX
