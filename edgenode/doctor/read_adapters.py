"""The kernel's Bluetooth adapters, as bluetoothd sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from dbus_fast import BusType, Message, MessageFlag, MessageType
from dbus_fast.aio import MessageBus

from edgenode.doctor.facts import Unknown

TIMEOUT_S = 5.0

_ADAPTER = "org.bluez.Adapter1"


def read_adapters() -> Mapping[str, bool] | Unknown:
    """Each adapter, such as "hci0", and whether it is powered.

    bluetoothd is not started by being asked.
    """
    try:
        return asyncio.run(_ask())
    except TimeoutError:
        return Unknown(f"no answer within {TIMEOUT_S:.0f} s")
    except (OSError, EOFError) as error:
        return Unknown(f"the system D-Bus: {str(error) or type(error).__name__}")


async def _ask() -> Mapping[str, bool] | Unknown:
    async with asyncio.timeout(TIMEOUT_S):
        bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
        try:
            reply = await bus.call(
                Message(
                    destination="org.bluez",
                    path="/",
                    interface="org.freedesktop.DBus.ObjectManager",
                    member="GetManagedObjects",
                    flags=MessageFlag.NO_AUTOSTART,
                )
            )
        finally:
            bus.disconnect()
    if reply is None or reply.message_type is MessageType.ERROR:
        name = "no reply" if reply is None else reply.error_name
        return Unknown(f"{name}: is bluetoothd running?")
    adapters = {}
    for path, interfaces in reply.body[0].items():
        if _ADAPTER in interfaces:
            powered = interfaces[_ADAPTER].get("Powered")
            adapters[path.rpartition("/")[2]] = bool(powered is not None and powered.value)
    return adapters
