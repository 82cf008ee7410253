"""A stand-in for bluetoothd: one adapter and one wearable, on a D-Bus that a test has to itself.

It answers what bleak asks, by the rules of BlueZ: a client has at most one discovery, a device is
an object only while the daemon knows it, a connection outlives the client that asked for it. What
the daemon knows dies with it, and bleak is not told.
"""

import asyncio
import time
from contextlib import asynccontextmanager, suppress

import numpy as np
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from edgenode.collector import imu_service
from edgenode.collector.bluez import BluezCentral
from edgenode.collector.collector import EXPECTED, Collector
from edgenode.collector.counters import Counters
from edgenode.collector.imu_service import Samples, encode_description, encode_samples
from tests.collector.ward import WEARABLE

ADAPTER = "/org/bluez/hci0"
DEVICE = f"{ADAPTER}/dev_{WEARABLE.replace(':', '_')}"
SERVICE = f"{DEVICE}/service000a"
CHARACTERISTICS = {
    imu_service.DESCRIPTION: f"{SERVICE}/char000b",
    imu_service.ANNOTATION: f"{SERVICE}/char000d",
    imu_service.SAMPLES: f"{SERVICE}/char0010",
}
ADAPTER1, DEVICE1 = "org.bluez.Adapter1", "org.bluez.Device1"
SERVICE1, CHARACTERISTIC1 = "org.bluez.GattService1", "org.bluez.GattCharacteristic1"
UNKNOWN_OBJECT = "org.freedesktop.DBus.Error.UnknownObject"
# How often the wearable advertises, or notifies.
TICK_S = 0.02


class BusError(Exception):
    """What a method answers instead of a result: the error's name."""


class BluezStandIn:
    """One life of the daemon, from `start` to `kill`.

    Attributes:
        calls: Methods that were called, in order.
        held: Methods that are not answered until the event beside them is set.
        refused: Methods that fail.
        mute: Whether the wearable stays silent on a connection.
        rubbish: Whether what it notifies breaks the layout.
    """

    def __init__(self, *, known):
        """`known`: whether the daemon knows the wearable from its last life."""
        self.calls = []
        self.held = {}
        self.refused = set()
        self.mute = self.rubbish = False
        self._known = known
        self._connected = False
        self._resolved = False
        self._discovering = set()
        self._notifying = set()
        self._index = 0
        self._tasks = set()

    @classmethod
    async def start(cls, *, known=False):
        daemon = cls(known=known)
        daemon._bus = await MessageBus(bus_type=BusType.SYSTEM, negotiate_unix_fd=True).connect()
        daemon._bus.add_message_handler(daemon._received)
        await daemon._bus.request_name("org.bluez")
        for path, interfaces in daemon._objects().items():
            daemon._added(path, interfaces)
        daemon._spawn(daemon._live())
        return daemon

    def kill(self):
        """End as by `kill -9`: whoever waits for an answer gets an error from the bus."""
        for task in self._tasks:
            task.cancel()
        self._bus.disconnect()

    def hold(self, member):
        """Answer this method only when the event that is returned was set."""
        self.held[member] = asyncio.Event()
        return self.held[member]

    def drop(self):
        """The wearable ends the connection."""
        if self._connected:
            self._connected = self._resolved = False
            self._notifying.clear()
            self._changed(
                DEVICE,
                DEVICE1,
                {"Connected": Variant("b", False), "ServicesResolved": Variant("b", False)},
            )

    def notify(self, uuid, value):
        """The wearable notifies a value of a characteristic."""
        self._changed(CHARACTERISTICS[uuid], CHARACTERISTIC1, {"Value": Variant("ay", value)})

    @property
    def subscribed(self):
        """Whether somebody gets the wearable's samples."""
        return CHARACTERISTICS[imu_service.SAMPLES] in self._notifying

    async def connections(self):
        """How many clients the bus has."""
        reply = await self._bus.call(
            Message(
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
                interface="org.freedesktop.DBus",
                member="ListNames",
            )
        )
        return sum(name.startswith(":") for name in reply.body[0])

    async def _live(self):
        while True:
            await asyncio.sleep(TICK_S)
            if self._discovering and not self._connected:
                self._seen()
            if self.subscribed and not self.mute:
                value = encode_samples(Samples(self._index, np.zeros((2, 6), np.int16)))
                self._index += 2
                self.notify(imu_service.SAMPLES, value[1:] if self.rubbish else value)

    def _seen(self):
        if self._known:
            self._changed(DEVICE, DEVICE1, {"RSSI": Variant("n", -50)})
        else:
            self._known = True
            self._added(DEVICE, self._device())

    def _device(self):
        return {
            DEVICE1: {
                "Adapter": Variant("o", ADAPTER),
                "Address": Variant("s", WEARABLE),
                "Alias": Variant("s", "wearable"),
                "Connected": Variant("b", self._connected),
                "Paired": Variant("b", False),
                "ServicesResolved": Variant("b", self._resolved),
                "UUIDs": Variant("as", [imu_service.SERVICE]),
            }
        }

    def _attributes(self):
        service = {
            "UUID": Variant("s", imu_service.SERVICE),
            "Device": Variant("o", DEVICE),
            "Primary": Variant("b", True),
        }
        attributes = {SERVICE: {SERVICE1: service}}
        for uuid, path in CHARACTERISTICS.items():
            flags = ["read"] if uuid == imu_service.DESCRIPTION else ["notify"]
            attributes[path] = {
                CHARACTERISTIC1: {
                    "UUID": Variant("s", uuid),
                    "Service": Variant("o", SERVICE),
                    "Flags": Variant("as", flags),
                }
            }
        return attributes

    def _objects(self):
        adapter = {
            "Address": Variant("s", "00:0E:00:00:00:01"),
            "Powered": Variant("b", True),
            "Roles": Variant("as", ["central"]),
        }
        objects = {ADAPTER: {ADAPTER1: adapter}}
        if self._known:
            objects[DEVICE] = self._device()
        if self._resolved:
            objects |= self._attributes()
        return objects

    def _received(self, message):
        if message.message_type is not MessageType.METHOD_CALL or message.interface is None:
            return None
        if not message.interface.startswith(("org.bluez", "org.freedesktop.DBus.ObjectManager")):
            return None
        self._spawn(self._answer(message))
        return True

    async def _answer(self, message):
        self.calls.append(message.member)
        try:
            signature, body = self._done(message)
        except BusError as error:
            reply = Message.new_error(message, str(error), str(error))
        else:
            reply = Message.new_method_return(message, signature, body)
        if message.member in self.held:
            await self.held[message.member].wait()
        await self._bus.send(reply)

    def _done(self, message):
        """Do what a method says; the signature and the body of its answer."""
        if message.member in self.refused:
            raise BusError("org.bluez.Error.Failed")
        match message.member:
            case "GetManagedObjects":
                return "a{oa{sa{sv}}}", [self._objects()]
            case "SetDiscoveryFilter":
                return "", []
            case "StartDiscovery":
                if message.sender in self._discovering:
                    raise BusError("org.bluez.Error.InProgress")
                self._discovering.add(message.sender)
                return "", []
            case "StopDiscovery":
                if message.sender not in self._discovering:
                    raise BusError("org.bluez.Error.Failed")
                self._discovering.discard(message.sender)
                return "", []
        if not self._known:
            raise BusError(UNKNOWN_OBJECT)
        match message.member:
            case "Connect":
                self._connect()
                return "", []
            case "Disconnect":
                if not self._connected:
                    raise BusError("org.bluez.Error.NotConnected")
                self.drop()
                return "", []
        if not self._resolved:
            raise BusError(UNKNOWN_OBJECT)
        match message.member:
            case "ReadValue":
                return "ay", [encode_description(EXPECTED)]
            case "StartNotify":
                self._notifying.add(message.path)
                return "", []
        raise BusError("org.freedesktop.DBus.Error.UnknownMethod")

    def _connect(self):
        self._connected = True
        self._changed(DEVICE, DEVICE1, {"Connected": Variant("b", True)})
        for path, interfaces in self._attributes().items():
            self._added(path, interfaces)
        self._resolved = True
        self._changed(DEVICE, DEVICE1, {"ServicesResolved": Variant("b", True)})

    def _added(self, path, interfaces):
        interface = "org.freedesktop.DBus.ObjectManager"
        self._signal("/", interface, "InterfacesAdded", "oa{sa{sv}}", [path, interfaces])

    def _changed(self, path, interface, properties):
        body = [interface, properties, []]
        self._signal(path, "org.freedesktop.DBus.Properties", "PropertiesChanged", "sa{sv}as", body)

    def _signal(self, path, interface, member, signature, body):
        with suppress(EOFError, OSError):
            self._bus.send(
                Message(
                    message_type=MessageType.SIGNAL,
                    path=path,
                    interface=interface,
                    member=member,
                    signature=signature,
                    body=body,
                )
            )

    def _spawn(self, work):
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Records(list):
    """Takes the records that a collector would commit."""

    put = list.append


@asynccontextmanager
async def reading():
    """A collector that reads the wearable; gives its counters and its records."""
    records, counters = Records(), Counters()
    collector = Collector((WEARABLE,), records, counters, next_stream=1, clock=time.monotonic)
    task = asyncio.create_task(collector.run(lambda: BluezCentral("hci0")))
    try:
        yield counters, records
    finally:
        task.cancel()
        await asyncio.wait({task})
