"""What of the BlueZ central can be tested without a kernel that has Bluetooth.

The D-Bus here is real; only bluetoothd is missing from it, as after it crashed.
"""

import pytest
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakCharacteristicNotFoundError,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
)

from edgenode.collector import imu_service
from edgenode.collector.adapters import central_for
from edgenode.collector.bluez import BluezCentral, central_error
from edgenode.collector.bumble import BumbleCentral
from edgenode.collector.central import AdapterError, PeripheralError


def test_the_name_of_an_adapter_says_which_central_it_needs():
    assert isinstance(central_for("bluez:hci0"), BluezCentral)
    assert isinstance(central_for("bumble:tcp-client:127.0.0.1:6402"), BumbleCentral)
    with pytest.raises(AdapterError, match="neither"):
        central_for("usb:0")


@pytest.mark.parametrize(
    "error",
    [
        BleakBluetoothNotAvailableError("off", BleakBluetoothNotAvailableReason.POWERED_OFF),
        BleakDBusError("org.freedesktop.DBus.Error.ServiceUnknown", ["no bluetoothd"]),
        BleakDBusError("org.freedesktop.DBus.Error.NoReply", ["bluetoothd hangs"]),
        BleakDBusError("org.bluez.Error.NotReady", ["powered off"]),
        EOFError(),
        FileNotFoundError(2, "No such file or directory"),
        ConnectionRefusedError(111, "refused"),
    ],
)
def test_an_error_of_the_adapter_or_of_bluetoothd_is_an_adapter_error(error):
    translated = central_error("hci0", error)
    assert isinstance(translated, AdapterError)
    assert str(translated).startswith("hci0: ")
    assert len(str(translated)) > len("hci0: ")


@pytest.mark.parametrize(
    "error",
    [
        BleakDBusError("org.bluez.Error.Failed", ["le-connection-abort-by-local"]),
        BleakDBusError("org.bluez.Error.InProgress", ["In Progress"]),
        BleakDeviceNotFoundError("F0:0E:00:00:00:01", "was not found"),
        BleakCharacteristicNotFoundError(imu_service.SAMPLES),
        BleakError("Not connected"),
        TimeoutError(),
    ],
)
def test_an_error_of_one_sensor_is_a_peripheral_error(error):
    assert isinstance(central_error("F0:0E:00:00:00:01", error), PeripheralError)


async def test_a_machine_without_dbus_is_an_adapter_error_that_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'none'}")
    central = BluezCentral("hci0")
    with pytest.raises(AdapterError, match="is dbus running"):
        await central.open()
    with pytest.raises(AdapterError):
        await central.scan(imu_service.SERVICE, ["F0:0E:00:00:00:01"], 1.0)
    await central.close()


@pytest.mark.usefixtures("bus")
async def test_a_bus_without_bluetoothd_is_an_adapter_error():
    central = BluezCentral("hci0")
    with pytest.raises(AdapterError, match="hci0"):
        await central.open()
    with pytest.raises(AdapterError, match="hci0"):
        await central.scan(imu_service.SERVICE, ["F0:0E:00:00:00:01"], 1.0)
    await central.close()
