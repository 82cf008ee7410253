"""A simulated wearable: a Bluetooth peripheral that replays recordings, faster than life.

It is a real GATT server on a real Bluetooth LE host stack (Bumble); only its controller is
virtual. It is put on when a collector subscribes for the first time: a short run at a high speed
loses nothing before. From then on it does what a device on a wrist does: its clock runs whether or
not anybody listens, and what it measures while nobody is connected is lost.

Between two series the wearer rests for a second: the sensor holds its last reading, annotated as
no exercise. Labels and samples are those of the recordings; nothing else is made up.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from bumble import core, gatt, hci
from bumble.controller import Controller
from bumble.device import AdvertisingType, Connection, Device, DeviceConfiguration
from bumble.host import Host
from bumble.transport.common import AsyncPipeSink
from numpy.typing import NDArray

from datasets.recordings import Series
from edgenode.collector import imu_service
from edgenode.collector.imu_service import AnnotationMark, Description, Samples
from edgenode.tasks.stream import (
    COUNTS_PER_G,
    COUNTS_PER_RADIAN_PER_SECOND,
    NO_EXERCISE,
    SAMPLES_PER_SECOND,
)

REST_SAMPLES = SAMPLES_PER_SECOND
# A minute of life: what a device might buffer while its connection stalls; beyond that the oldest
# samples are lost.
BUFFERED_SAMPLES = 60 * SAMPLES_PER_SECOND
_ADVERTISING_INTERVAL_MS = 100.0
_DESCRIPTION = Description(1000 * SAMPLES_PER_SECOND, COUNTS_PER_G, COUNTS_PER_RADIAN_PER_SECOND)


@dataclass(frozen=True, slots=True)
class _Part:
    """From sample `first` of the script on, `code` is being done."""

    first: int
    code: int


class Script:
    """What the wearable measures, sample by sample, over and over or once."""

    def __init__(self, series: Sequence[Series], *, loop: bool) -> None:
        if not series:
            raise ValueError("a wearable needs at least one series to replay")
        self._loop = loop
        pieces: list[NDArray[np.int16]] = []
        self._parts: list[_Part] = []
        position = 0
        for one in series:
            rest = np.repeat(one.values[-1:], REST_SAMPLES, axis=0)
            self._parts.append(_Part(position, one.exercise))
            self._parts.append(_Part(position + len(one.values), NO_EXERCISE))
            pieces += [one.values, rest]
            position += len(one.values) + len(rest)
        self._values = np.concatenate(pieces)
        self._firsts = [part.first for part in self._parts]

    @property
    def length(self) -> int | None:
        """How many samples there are; None for without end."""
        return None if self._loop else len(self._values)

    def values(self, first: int, count: int) -> NDArray[np.int16]:
        """Samples `first` to `first + count`, shape (count, 6)."""
        indices = np.arange(first, first + count) % len(self._values)
        chosen: NDArray[np.int16] = self._values[indices]
        return chosen

    def code_at(self, index: int) -> int:
        """What is being done at sample `index`."""
        part = bisect_right(self._firsts, index % len(self._values)) - 1
        return self._parts[part].code

    def next_change(self, index: int) -> int:
        """The first sample after `index` at which something else may be done."""
        turn, position = divmod(index, len(self._values))
        part = bisect_right(self._firsts, position)
        after = self._firsts[part] if part < len(self._firsts) else len(self._values)
        return turn * len(self._values) + after


class Wearable:
    """The peripheral.

    Attributes:
        address: Its random static address.
        notified: Called with each Samples or AnnotationMark that is notified; tests compare it with
            what was stored.
    """

    def __init__(
        self,
        series: Sequence[Series],
        address: str,
        *,
        speed: float = 1.0,
        loop: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make a wearable.

        Args:
            series: What to replay, one after another.
            address: Random static address.
            speed: Times life, above 0.
            loop: Whether to begin again at the end, or to fall silent.
            clock: Monotonic seconds.
        """
        if not speed > 0:
            raise ValueError(f"a speed of {speed} is not above 0")
        self.address = address
        self.notified: Callable[[Samples | AnnotationMark], None] | None = None
        self._script = Script(series, loop=loop)
        self._rate = SAMPLES_PER_SECOND * speed
        self._clock = clock
        self._next = 0
        self._connection: Connection | None = None
        self._told = -1  # the code that the connected collector was told last
        self._subscribed = asyncio.Event()
        self._unheard = False  # whether a subscription has ended since `play` looked last
        properties = gatt.Characteristic.Properties
        self.samples = gatt.Characteristic(
            core.UUID(imu_service.SAMPLES), properties.NOTIFY, gatt.Characteristic.Permissions(0)
        )
        self.annotation = gatt.Characteristic(
            core.UUID(imu_service.ANNOTATION), properties.NOTIFY, gatt.Characteristic.Permissions(0)
        )
        self._description = gatt.Characteristic(
            core.UUID(imu_service.DESCRIPTION),
            properties.READ,
            gatt.Characteristic.READABLE,
            imu_service.encode_description(_DESCRIPTION),
        )
        self.device: Device | None = None

    async def power_on(self, controller: Controller) -> None:
        """Attach to a controller and begin to advertise."""
        host = Host(controller, AsyncPipeSink(controller))
        controller.host = host
        configuration = DeviceConfiguration(
            name="edgenode wearable", address=hci.Address(self.address), keystore=None
        )
        self.device = device = Device(config=configuration, host=host)
        device.add_service(
            gatt.Service(
                core.UUID(imu_service.SERVICE), [self._description, self.annotation, self.samples]
            )
        )
        device.on("connection", self._connected)
        self.samples.on("subscription", self._on_subscription)
        await device.power_on()
        await self._advertise()

    async def subscribed(self) -> None:
        """Wait until a collector has subscribed the samples."""
        await self._subscribed.wait()

    async def play(self) -> None:
        """Measure and notify, from the first subscription until the script ends or until cancelled.

        A script that loops does not end.
        """
        await self._subscribed.wait()
        self._unheard = not self._subscribed.is_set()
        start = self._clock()
        end = self._script.length
        while end is None or self._next < end:
            if self._unheard:
                await self._subscribed.wait()
                self._unheard = not self._subscribed.is_set()
                self._pass_over(start)
                continue
            # A notification does not reach across a change, whose annotation goes before it.
            size = min(self._capacity, self._script.next_change(self._next) - self._next)
            due = start + (self._next + size) / self._rate
            await asyncio.sleep(max(0.0, due - self._clock()))
            if self._unheard:
                continue
            if (self._clock() - start) * self._rate - self._next > BUFFERED_SAMPLES + size:
                self._pass_over(start, BUFFERED_SAMPLES)
                continue
            await self._tell(self._script.code_at(self._next))
            values = self._script.values(self._next, size)
            samples = Samples(self._next % imu_service.INDEX_MODULUS, values)
            await self.notify_raw(self.samples, imu_service.encode_samples(samples))
            self._report(samples)
            self._next += size
        await self._tell(NO_EXERCISE)

    def lose(self, count: int) -> None:
        """Measure `count` samples without notifying them, as a sensor that is too busy does."""
        self._next += count

    async def notify_raw(self, characteristic: gatt.Characteristic, value: bytes) -> None:
        """Notify any bytes, as a faulty sensor would."""
        if self.device is not None and self._connection is not None:
            await self.device.notify_subscriber(self._connection, characteristic, value)

    @property
    def _capacity(self) -> int:
        """How many samples a notification carries on this connection."""
        mtu = 23 if self._connection is None else self._connection.att_mtu
        return imu_service.samples_per_notification(mtu)

    def _pass_over(self, start: float, kept: int = 0) -> None:
        """Go to where real time is; all but the last `kept` samples until then are lost."""
        measured = int((self._clock() - start) * self._rate) - kept
        end = self._script.length
        self._next = max(self._next, measured if end is None else min(measured, end))

    async def _tell(self, code: int) -> None:
        """Notify the annotation, if the collector does not know it yet."""
        if code == self._told or not self._subscribed.is_set():
            return
        self._told = code
        mark = AnnotationMark(self._next % imu_service.INDEX_MODULUS, code)
        await self.notify_raw(self.annotation, imu_service.encode_annotation(mark))
        self._report(mark)

    def _report(self, what: Samples | AnnotationMark) -> None:
        if self.notified is not None:
            self.notified(what)

    async def _advertise(self) -> None:
        assert self.device is not None
        data = core.AdvertisingData
        flags = data.Flags.LE_GENERAL_DISCOVERABLE_MODE | data.Flags.BR_EDR_NOT_SUPPORTED
        uuid = core.UUID(imu_service.SERVICE)
        advertised = data(
            [
                (data.FLAGS, bytes([flags])),
                (data.COMPLETE_LIST_OF_128_BIT_SERVICE_CLASS_UUIDS, uuid.to_bytes()),
            ]
        )
        await self.device.start_advertising(
            advertising_type=AdvertisingType.UNDIRECTED_CONNECTABLE_SCANNABLE,
            auto_restart=True,
            advertising_data=bytes(advertised),
            advertising_interval_min=_ADVERTISING_INTERVAL_MS,
            advertising_interval_max=_ADVERTISING_INTERVAL_MS,
        )

    def _connected(self, connection: Connection) -> None:
        self._connection = connection
        connection.on("disconnection", self._disconnected)

    def _disconnected(self, _: int) -> None:
        self._connection = None
        self._unsubscribed()

    def _on_subscription(self, _: Connection, notify: bool, _indicate: bool) -> None:
        self._told = -1
        if notify:
            self._subscribed.set()
        else:
            self._unsubscribed()

    def _unsubscribed(self) -> None:
        self._subscribed.clear()
        self._unheard = True
