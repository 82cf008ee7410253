"""`Central` on any machine: Google's Bumble, a Bluetooth host in Python, over any HCI transport.

It needs no kernel Bluetooth and no root: the demo and the tests give it virtual controllers over
TCP; "usb:0" or "serial:..." would give it a real one. Bumble is typed, but only installed with the
`demo` extra; to this package its objects are `Any`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine
from typing import Any, TypeVar

from bumble import att, core, gatt, hci
from bumble.device import Advertisement, Connection, Device, DeviceConfiguration, Peer
from bumble.gatt_client import CharacteristicProxy
from bumble.host import Host
from bumble.transport import open_transport

from edgenode.collector.central import (
    CONNECT_TIMEOUT_S,
    REQUEST_TIMEOUT_S,
    AdapterError,
    PeripheralError,
)

_log = logging.getLogger(__name__)
_Result = TypeVar("_Result")

# The largest ATT_MTU whose PDUs fit one link-layer packet with the data length extension (251
# bytes less 4 of L2CAP): a notification is then received whole or not at all.
ATT_MTU = 247
# What Bumble raises when something outside fails.
_FAILURES = (TimeoutError, core.BaseBumbleError, hci.HCI_Error, att.ATT_Error)
# HCI commands are answered by the controller itself; nothing travels over the air.
COMMAND_TIMEOUT_S = 5.0
_SERVICE_LISTS = (
    core.AdvertisingData.Type.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
    core.AdvertisingData.Type.INCOMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS,
)


class BumblePeripheral:
    """A peripheral connected through Bumble."""

    def __init__(self, central: BumbleCentral, address: str, connection: Connection) -> None:
        self._central = central
        self._connection = connection
        self._peer = Peer(connection)
        self._service: Any = None
        self.address = address

    async def discover(self, service: str) -> None:
        """Agree on an MTU and find the service's characteristics."""
        await self._request(self._peer.request_mtu(ATT_MTU))
        services = await self._request(self._peer.discover_service(core.UUID(service)))
        if not services:
            raise PeripheralError(f"{self.address} does not have the service {service}")
        self._service = services[0]
        await self._request(self._peer.discover_characteristics(service=self._service))

    async def read(self, characteristic: str) -> bytes:
        """See `Peripheral.read`."""
        proxy = self._characteristic(characteristic)
        return bytes(await self._request(proxy.read_value()))

    async def subscribe(self, characteristic: str, notified: Callable[[bytes], None]) -> None:
        """See `Peripheral.subscribe`."""
        proxy = self._characteristic(characteristic)
        if not proxy.properties & gatt.Characteristic.Properties.NOTIFY:
            raise PeripheralError(f"{characteristic} of {self.address} does not notify")
        await self._request(self._peer.subscribe(proxy, notified))
        if proxy.get_descriptor(gatt.GATT_CLIENT_CHARACTERISTIC_CONFIGURATION_DESCRIPTOR) is None:
            raise PeripheralError(f"{characteristic} of {self.address} cannot be configured")

    async def disconnect(self) -> None:
        """See `Peripheral.disconnect`."""
        await self._central.disconnect(self._connection)

    def _characteristic(self, uuid: str) -> CharacteristicProxy[bytes]:
        found = self._service.get_characteristics_by_uuid(core.UUID(uuid))
        if not found:
            raise PeripheralError(f"{self.address} does not have the characteristic {uuid}")
        return found[0]

    async def _request(self, request: Coroutine[Any, Any, _Result]) -> _Result:
        if not self._central.holds(self._connection):
            # Bumble would send it into the void and wait for its own, longer, timeout.
            request.close()
            raise PeripheralError(f"{self.address}: the connection has ended")
        try:
            return await self._central.guarded(request, REQUEST_TIMEOUT_S)
        except _FAILURES as error:
            raise PeripheralError(f"{self.address}: {_text(error)}") from error


class BumbleCentral:
    """A `Central` over an HCI transport of Bumble, such as "tcp-client:127.0.0.1:6402"."""

    def __init__(self, transport: str) -> None:
        self._name = transport
        self._transport: Any = None
        self._device: Any = None
        self._seen: dict[str, Any] = {}
        self._ended: dict[int, Callable[[str], None]] = {}

    async def open(self) -> None:
        """See `Central.open`."""
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                self._transport = await open_transport(self._name)
            host = Host(self._transport.source, self._transport.sink)
            # No key store: nothing is bonded yet.
            configuration = DeviceConfiguration(
                name="edgenode", keystore=None, gap_service_enabled=False
            )
            self._device = Device(config=configuration, host=host)
            await self.guarded(self._device.power_on(), COMMAND_TIMEOUT_S)
        except (OSError, ValueError, *_FAILURES) as error:
            raise AdapterError(f"adapter {self._name}: {_text(error)}") from error

    async def close(self) -> None:
        """See `Central.close`."""
        if self._device is not None:
            for connection in list(self._device.connections.values()):
                await self.disconnect(connection)
        if self._transport is not None:
            await self._transport.close()
        for handle in list(self._ended):
            self._disconnected(handle, "the adapter was closed")

    async def scan(self, service: str, wanted: Collection[str], within: float) -> str | None:
        """See `Central.scan`."""
        found: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def advertised(advertisement: Advertisement) -> None:
            address = advertisement.address.to_string(with_type_qualifier=False).upper()
            if found.done() or address not in wanted or not advertisement.is_connectable:
                return
            if any(core.UUID(service) in uuids for uuids in _listed_services(advertisement)):
                self._seen[address] = advertisement.address
                found.set_result(address)

        self._device.on("advertisement", advertised)
        try:
            await self._command(self._device.start_scanning(own_address_type=_OWN_ADDRESS))
            try:
                return await self.guarded(_value(found), within)
            except TimeoutError:
                return None
            finally:
                await self._command(self._device.stop_scanning())
        finally:
            self._device.remove_listener("advertisement", advertised)

    async def connect(
        self, address: str, service: str, disconnected: Callable[[str], None]
    ) -> BumblePeripheral:
        """See `Central.connect`."""
        attempt = self._device.connect_le(
            self._seen[address], own_address_type=_OWN_ADDRESS, timeout=CONNECT_TIMEOUT_S
        )
        try:
            # Bumble's own timeout comes first, and takes the attempt back from the controller.
            connection = await self.guarded(attempt, CONNECT_TIMEOUT_S + COMMAND_TIMEOUT_S)
        except hci.HCI_Error as error:
            raise AdapterError(f"adapter {self._name}: {_text(error)}") from error
        except (TimeoutError, core.BaseBumbleError) as error:
            raise PeripheralError(f"{address}: no connection: {_text(error)}") from error
        handle = connection.handle
        connection.on(
            "disconnection",
            lambda reason: self._disconnected(handle, _reason(reason)),
        )
        peripheral = BumblePeripheral(self, address, connection)
        try:
            await peripheral.discover(service)
        except BaseException:
            # Also when it is cancelled: nobody else knows this connection, to end it.
            await self.disconnect(connection)
            raise
        if not self.holds(connection):
            raise PeripheralError(f"{address}: the connection was lost at once")
        self._ended[handle] = disconnected
        return peripheral

    async def disconnect(self, connection: Connection) -> None:
        """End a connection of this central, if it still exists."""
        if not self.holds(connection):
            return
        self._disconnected(connection.handle, "disconnected by the collector")
        reason = hci.HCI_REMOTE_USER_TERMINATED_CONNECTION_ERROR
        try:
            await self.guarded(connection.disconnect(reason), COMMAND_TIMEOUT_S)
        except (*_FAILURES, AdapterError, PeripheralError) as error:
            # The peer notices by its supervision timeout; here the connection is over.
            _log.warning(
                "the connection did not end in order",
                extra={"sensor": connection.peer_address, "error": _text(error)},
            )

    def holds(self, connection: Connection) -> bool:
        """Whether a connection still exists."""
        return self._device.connections.get(connection.handle) is connection

    async def guarded(self, work: Coroutine[Any, Any, _Result], within: float) -> _Result:
        """Await Bumble's work, but not beyond the life of the transport or a timeout.

        Bumble itself waits for ever for an answer from a transport that is gone, and cancels a
        request whose connection ends; neither may reach the caller as such.

        Raises:
            AdapterError: The transport is gone.
            PeripheralError: The connection ended.
            TimeoutError: The time is over.
        """
        task = asyncio.ensure_future(work)
        lost = self._transport.source.terminated
        try:
            await asyncio.wait({task, lost}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
            if task.done() and not task.cancelled():
                return task.result()
            if lost.done():
                raise AdapterError(f"adapter {self._name}: the transport is gone")
            if task.done():
                raise PeripheralError("the connection ended")
            raise TimeoutError(f"no answer within {within:g} s")
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    async def _command(self, command: Coroutine[Any, Any, _Result]) -> _Result:
        try:
            return await self.guarded(command, COMMAND_TIMEOUT_S)
        except _FAILURES as error:
            raise AdapterError(f"adapter {self._name}: {_text(error)}") from error

    def _disconnected(self, handle: int, reason: str) -> None:
        if (disconnected := self._ended.pop(handle, None)) is not None:
            disconnected(reason)


# A stable address, so that a peripheral recognises this box again.
_OWN_ADDRESS = hci.OwnAddressType.PUBLIC


def _reason(code: int) -> str:
    """An HCI reason in words; Bumble gives 0 when it lost the controller itself."""
    return str(hci.HCI_Constant.error_name(code)) if code else "the transport is gone"


def _listed_services(advertisement: Advertisement) -> list[list[core.UUID]]:
    return [uuids for kind in _SERVICE_LISTS for uuids in advertisement.data.get_all(kind)]


async def _value(future: asyncio.Future[_Result]) -> _Result:
    return await future


def _text(error: BaseException) -> str:
    """An error's text, or its name: many of Bumble's have no text."""
    return str(error) or type(error).__name__
