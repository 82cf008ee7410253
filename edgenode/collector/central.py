"""The little of a Bluetooth LE central that the collector needs, whatever stack is below.

Two implementations: `bluez` (the appliance) and `bumble` (any machine, and the tests). Addresses
are upper case with colons ("F0:0E:00:00:00:01"). Notifications and the end of a connection arrive
as plain calls on the event loop's thread; neither may raise.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

# A sensor next to the box answers in well under a second; a discovery over a bad link takes some.
# Above this an attempt holds up the other sensors.
CONNECT_TIMEOUT_S = 20.0
# One request and its response (Core specification 5.4, Vol 3, Part F, section 3.3.3, gives up after
# 30 s; a sensor that slow is of no use for a live stream).
REQUEST_TIMEOUT_S = 10.0


class CentralError(Exception):
    """Something about Bluetooth did not work; the text says what."""


class AdapterError(CentralError):
    """The adapter cannot be used or is gone: close the central and open it again later."""


class PeripheralError(CentralError):
    """One peripheral failed: not reachable, connection lost, or without what was asked for."""


class Peripheral(Protocol):
    """A connected peripheral."""

    @property
    def address(self) -> str:
        """Its address."""

    async def read(self, characteristic: str) -> bytes:
        """Read a characteristic by its UUID.

        Raises:
            PeripheralError: It has no such characteristic, refused, or is gone.
        """

    async def subscribe(self, characteristic: str, notified: Callable[[bytes], None]) -> None:
        """Have `notified` called with the value of each notification of a characteristic.

        Raises:
            PeripheralError: It has no such characteristic, refused, or is gone.
        """

    async def disconnect(self) -> None:
        """End the connection; `disconnected` of `Central.connect` is called before this returns."""


class Central(Protocol):
    """A Bluetooth adapter in the central role."""

    async def open(self) -> None:
        """Take the adapter into use.

        Raises:
            AdapterError: It is not there, or not usable.
        """

    async def close(self) -> None:
        """Give the adapter back; connections that are left end. Never raises `CentralError`."""

    async def scan(self, service: str, wanted: Collection[str], within: float) -> str | None:
        """Scan until a connectable peripheral of `wanted` is seen that advertises `service`.

        Returns:
            Its address, or None when none was seen `within` this many seconds.

        Raises:
            AdapterError: The adapter failed.
        """

    async def connect(
        self, address: str, service: str, disconnected: Callable[[str], None]
    ) -> Peripheral:
        """Connect to a peripheral that `scan` returned, and discover `service`.

        Args:
            address: Which one.
            service: UUID of the service whose characteristics will be used.
            disconnected: Called once with a reason when an established connection ends. Not called
                when this method raises.

        Raises:
            AdapterError: The adapter failed.
            PeripheralError: No connection within `CONNECT_TIMEOUT_S`, or without the service.
        """
