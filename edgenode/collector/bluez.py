"""`Central` on the appliance: the kernel's Bluetooth, through BlueZ on D-Bus, through bleak 3.

What differs from other stacks, and why it looks as it does: BlueZ keeps a connection when the
process that made it dies, so `scan` first looks for sensors that are connected already; and it
refuses to connect while it scans on some adapters, so a scan has ended before `connect` begins.
bleak 3.1 does not notice a bluetoothd that was killed; the silence of its sensors tells (`Sensor`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection

from bleak import BleakAdapter, BleakClient, BleakScanner
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakDBusError,
    BleakDeviceNotFoundError,
    BleakError,
)

from edgenode.collector.central import (
    CONNECT_TIMEOUT_S,
    REQUEST_TIMEOUT_S,
    AdapterError,
    CentralError,
    PeripheralError,
)

_log = logging.getLogger(__name__)

# A scan is begun and ended by bluetoothd and the local controller alone.
COMMAND_TIMEOUT_S = 10.0
# bleak waits without a bound for bluetoothd's answer, and then 10 s for the end of the connection.
DISCONNECT_TIMEOUT_S = 15.0
# D-Bus errors that say that bluetoothd or its adapter is gone, whatever was asked of it.
_ADAPTER_ERRORS = frozenset(
    {
        "org.bluez.Error.NotReady",
        "org.bluez.Error.NotAvailable",
        "org.freedesktop.DBus.Error.ServiceUnknown",
        "org.freedesktop.DBus.Error.NameHasNoOwner",
        "org.freedesktop.DBus.Error.NoReply",
        "org.freedesktop.DBus.Error.Disconnected",
    }
)
# Whatever bleak and dbus-fast raise when something outside fails: EOFError when the bus closes.
_FAILURES = (BleakError, OSError, EOFError, TimeoutError)


# Scans whose beginning was answered too late; they outlive their central.
_late: set[asyncio.Task[None]] = set()


async def _start(scanner: BleakScanner) -> None:
    """Begin a scan, in bounded time.

    What bluetoothd answers too late is waited for elsewhere, and that scan ended: bleak asks for
    all scans of a process over one connection, which may have one, and forgets one whose beginning
    is cancelled. Every later one would be refused.
    """

    async def stop_late() -> None:
        with contextlib.suppress(*_FAILURES):
            await starting
            await scanner.stop()

    starting = asyncio.ensure_future(scanner.start())
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            await asyncio.shield(starting)
    except BaseException:
        # Also when it is cancelled: a scan that starts all the same is stopped then.
        task = asyncio.ensure_future(stop_late())
        _late.add(task)
        task.add_done_callback(_late.discard)
        raise


def central_error(subject: str, error: Exception) -> CentralError:
    """What an error of bleak means for the collector: the adapter, or one peripheral.

    Args:
        subject: What failed, for the text.
        error: One of bleak's errors, or of the bus below it.
    """
    text = f"{subject}: {str(error) or type(error).__name__}"
    match error:
        case BleakBluetoothNotAvailableError() | EOFError():
            return AdapterError(text)
        case BleakDBusError() if error.dbus_error in _ADAPTER_ERRORS:
            return AdapterError(text)
        case BleakError() | TimeoutError():
            return PeripheralError(text)
        case FileNotFoundError():
            return AdapterError(f"{text} (the system D-Bus socket: is dbus running?)")
        case OSError():
            return AdapterError(text)
    return PeripheralError(text)


class BluezPeripheral:
    """A peripheral connected through BlueZ."""

    def __init__(self, client: BleakClient, address: str) -> None:
        self._client = client
        self.address = address

    async def read(self, characteristic: str) -> bytes:
        """See `Peripheral.read`."""
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                return bytes(await self._client.read_gatt_char(characteristic))
        except _FAILURES as error:
            raise central_error(self.address, error) from error

    async def subscribe(self, characteristic: str, notified: Callable[[bytes], None]) -> None:
        """See `Peripheral.subscribe`."""

        def received(_: BleakGATTCharacteristic, value: bytearray) -> None:
            notified(bytes(value))

        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                await self._client.start_notify(characteristic, received)
        except _FAILURES as error:
            raise central_error(self.address, error) from error

    async def disconnect(self) -> None:
        """See `Peripheral.disconnect`."""
        try:
            async with asyncio.timeout(DISCONNECT_TIMEOUT_S):
                await self._client.disconnect()
        except _FAILURES as error:
            # bleak has released the connection and called back; BlueZ may still hold it, and
            # then the next scan finds it connected.
            _log.warning(
                "the connection did not end in order",
                extra={"sensor": self.address, "error": central_error(self.address, error)},
            )


class BluezCentral:
    """A `Central` on a kernel adapter, such as "hci0"."""

    def __init__(self, adapter: str) -> None:
        self._adapter = adapter
        self._seen: dict[str, BLEDevice] = {}
        self._offered: set[str] = set()  # found connected since they were last scanned for
        self._connected: set[BluezPeripheral] = set()
        self._releasing: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """See `Central.open`."""
        # Nothing is held open between calls; this only finds out early what is missing.
        await self._already_connected("0000180a-0000-1000-8000-00805f9b34fb", ())

    async def close(self) -> None:
        """See `Central.close`."""
        ending = [peripheral.disconnect() for peripheral in self._connected]
        await asyncio.gather(*ending, *self._releasing)

    async def scan(self, service: str, wanted: Collection[str], within: float) -> str | None:
        """See `Central.scan`."""
        if (address := await self._already_connected(service, wanted)) is not None:
            return address
        found: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def detected(device: BLEDevice, _: AdvertisementData) -> None:
            if device.address.upper() in wanted and not found.done():
                self._seen[device.address.upper()] = device
                found.set_result(device.address.upper())

        scanner = BleakScanner(detected, [service], bluez={"adapter": self._adapter})
        try:
            await _start(scanner)
            self._offered.difference_update(wanted)
            try:
                async with asyncio.timeout(within):
                    return await found
            except TimeoutError:
                return None
            finally:
                async with asyncio.timeout(COMMAND_TIMEOUT_S):
                    await scanner.stop()
        except _FAILURES as error:
            # While scanning no peripheral is involved: whatever fails, the adapter fails.
            raise AdapterError(str(central_error(self._adapter, error))) from error

    async def connect(
        self, address: str, service: str, disconnected: Callable[[str], None]
    ) -> BluezPeripheral:
        """See `Central.connect`."""
        peripheral: BluezPeripheral | None = None

        def ended(_: BleakClient) -> None:
            # bleak also calls this for an attempt that fails; then `connect` raises instead.
            if peripheral is not None and peripheral in self._connected:
                self._connected.discard(peripheral)
                # bleak keeps its connection to the D-Bus, and the bus has few, until told to end.
                task = asyncio.ensure_future(peripheral.disconnect())
                self._releasing.add(task)
                task.add_done_callback(self._releasing.discard)
                disconnected("BlueZ reports the end of the connection")

        client = BleakClient(
            self._seen[address],
            ended,
            [service],
            timeout=CONNECT_TIMEOUT_S,
            bluez={"adapter": self._adapter},
        )
        try:
            # bleak's own timeout comes first; then it waits without a bound to take it back.
            async with asyncio.timeout(CONNECT_TIMEOUT_S + COMMAND_TIMEOUT_S):
                await client.connect()
        except BleakDeviceNotFoundError as error:
            raise PeripheralError(f"{address}: BlueZ has forgotten it: {error}") from error
        except _FAILURES as error:
            raise central_error(address, error) from error
        peripheral = BluezPeripheral(client, address)
        if client.services.get_service(service) is None:
            await peripheral.disconnect()
            raise PeripheralError(f"{address} does not have the service {service}")
        self._connected.add(peripheral)
        return peripheral

    async def _already_connected(self, service: str, wanted: Collection[str]) -> str | None:
        """The address of a wanted peripheral that BlueZ holds a connection to, but not we.

        It is offered once and then scanned for: bleak goes on believing in the connections of a
        bluetoothd that has died, until it sees the peripheral again.
        """
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                adapter = await BleakAdapter.get(bluez={"adapter": self._adapter})
                devices = await adapter.get_connected_devices([service])
        except _FAILURES as error:
            raise AdapterError(str(central_error(self._adapter, error))) from error
        passed_over = {peripheral.address for peripheral in self._connected} | self._offered
        for device in devices:
            address = device.address.upper()
            if address in wanted and address not in passed_over:
                self._seen[address] = device
                self._offered.add(address)
                return address
        return None
