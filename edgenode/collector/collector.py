"""The collector: looks for its sensors, connects to them, and stores what they notify.

One task looks for sensors, one at a time (an adapter makes one connection at a time), and
notifications arrive as calls beside it. What each call means is decided by `SequenceTracker` and
`Sensor`; here they only meet.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from edgenode.collector import imu_service
from edgenode.collector.central import AdapterError, Central, Peripheral, PeripheralError
from edgenode.collector.counters import Counters
from edgenode.collector.group_commit import GroupCommit
from edgenode.collector.imu_service import Description, MalformedValueError
from edgenode.collector.log_limit import LogLimit
from edgenode.collector.sensor import SILENCE_S, Sensor, SensorState
from edgenode.collector.sequence import Dropped, Placed, SequenceTracker
from edgenode.storage.samples import StreamStart
from edgenode.tasks.stream import (
    COUNTS_PER_G,
    COUNTS_PER_RADIAN_PER_SECOND,
    NO_EXERCISE,
    SAMPLES_PER_SECOND,
    Annotation,
    SampleBlock,
)

_log = logging.getLogger(__name__)

# A scan that sees nothing is ended and begun again this often: adapters have been seen to stop
# reporting in the middle of a long scan.
SCAN_S = 10.0
# The pause after an adapter failed: from "it is being reset" to "it was unplugged".
ADAPTER_SHORTEST_PAUSE_S = 0.5
ADAPTER_LONGEST_PAUSE_S = 8.0

# What the tasks in `edgenode.tasks` understand; another sensor must be converted or refused.
EXPECTED = Description(1000 * SAMPLES_PER_SECOND, COUNTS_PER_G, COUNTS_PER_RADIAN_PER_SECOND)


@dataclass(slots=True)
class _Watched:
    """A sensor of the allow-list and all that is known of it."""

    sensor: Sensor
    sequence: SequenceTracker = field(default_factory=SequenceTracker)
    stream: int = 0
    peripheral: Peripheral | None = None


class Collector:
    """Reads the sensors of an allow-list through a central."""

    def __init__(
        self,
        sensors: tuple[str, ...],
        commit: GroupCommit,
        counters: Counters,
        *,
        next_stream: int,
        clock: Callable[[], float],
    ) -> None:
        self.counters = counters
        self._commit = commit
        self._next_stream = next_stream
        self._clock = clock
        self._log_limit = LogLimit()
        self._last_sample = clock()
        self._watched = {address: _Watched(Sensor(address)) for address in sensors}
        self._something_ended = asyncio.Event()
        self._adapter_pause = ADAPTER_SHORTEST_PAUSE_S

    def snapshot(self) -> dict[str, float]:
        """All counters by name.

        `last_sample_age_seconds` counts from the start while no sample has come, so that a sensor
        that never speaks ages too.
        """
        age = self._clock() - self._last_sample
        return {**self.counters.as_dict(), "last_sample_age_seconds": age}

    async def run(self, make_central: Callable[[], Central]) -> None:
        """Collect until cancelled, whatever becomes of the adapter."""
        while True:
            central = make_central()
            try:
                await central.open()
                await self._serve(central)
            except AdapterError as error:
                self.counters.adapter_failures += 1
                if (held_back := self._log_limit.admit("adapter", self._clock())) is not None:
                    _log.error("the adapter failed", extra={"error": error, "held_back": held_back})
            finally:
                await central.close()
            await asyncio.sleep(self._adapter_pause)
            self._adapter_pause = min(2 * self._adapter_pause, ADAPTER_LONGEST_PAUSE_S)

    async def _serve(self, central: Central) -> None:
        """Keep all sensors connected, until the adapter fails."""
        while True:
            self._something_ended.clear()
            await self._end_silent()
            now = self._clock()
            waiting = {
                address: watched.sensor.wanted_from
                for address, watched in self._watched.items()
                if watched.sensor.wanted_from is not None
            }
            due = [address for address, when in waiting.items() if when is not None and when <= now]
            later = [when - now for when in waiting.values() if when is not None and when > now]
            if not due:
                silences = (watched.sensor.silent_from for watched in self._watched.values())
                later += [when - now for when in silences if when is not None]
                await self._until_something_ends(min(later, default=None))
                continue
            # Not longer than until another sensor becomes due, so that all get their turn.
            address = await central.scan(imu_service.SERVICE, due, min([SCAN_S, *later]))
            # Only now: an adapter that opens but does not scan is left alone for longer each time.
            self._adapter_pause = ADAPTER_SHORTEST_PAUSE_S
            if address in self._watched:
                await self._connect(central, self._watched[address])

    async def _end_silent(self) -> None:
        """Disconnect what streams without a valid notification: its connection is dead."""
        for watched in self._watched.values():
            silent_from, peripheral = watched.sensor.silent_from, watched.peripheral
            if silent_from is None or peripheral is None or silent_from > self._clock():
                continue
            self._lost(watched, f"no valid notification came for {SILENCE_S:g} s")
            await peripheral.disconnect()

    async def _until_something_ends(self, within: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._something_ended.wait()

    async def _connect(self, central: Central, watched: _Watched) -> None:
        sensor = watched.sensor
        sensor.connecting()
        try:
            watched.peripheral = await central.connect(
                sensor.address, imu_service.SERVICE, lambda reason: self._lost(watched, reason)
            )
            watched.sequence.connection_began()
            await self._begin(watched, watched.peripheral)
        except BaseException as error:
            await self._abandon(watched)
            if not isinstance(error, PeripheralError | MalformedValueError):
                raise
            if (held_back := self._admit(sensor, "connection")) is not None:
                _log.warning(
                    "no stream",
                    extra={"sensor": sensor.address, "error": error, "held_back": held_back},
                )

    async def _begin(self, watched: _Watched, peripheral: Peripheral) -> None:
        value = await peripheral.read(imu_service.DESCRIPTION)
        description = imu_service.decode_description(value)
        if description != EXPECTED:
            raise PeripheralError(f"it sends {description}, but only {EXPECTED} can be used")
        # The label before the samples that it belongs to.
        await peripheral.subscribe(
            imu_service.ANNOTATION, lambda value: self._annotation(watched, value)
        )
        await peripheral.subscribe(imu_service.SAMPLES, lambda value: self._samples(watched, value))
        if watched.peripheral is None:
            raise PeripheralError("the connection was lost while it was set up")
        watched.sensor.streaming(self._clock())
        self.counters.reconnects += watched.sensor.connections > 1
        self.counters.connected_sensors += 1
        _log.info("sensor is streaming", extra={"sensor": watched.sensor.address})

    async def _abandon(self, watched: _Watched) -> None:
        """End an attempt to connect."""
        peripheral, watched.peripheral = watched.peripheral, None
        if watched.sensor.state is SensorState.CONNECTING:
            watched.sensor.failed(self._clock())
            self.counters.connection_failures += 1
        if peripheral is not None:
            await peripheral.disconnect()

    def _lost(self, watched: _Watched, reason: str) -> None:
        """The connection ended (a call of the central)."""
        watched.peripheral = None
        if watched.sensor.state is SensorState.STREAMING:
            watched.sensor.lost(self._clock())
            self.counters.connected_sensors -= 1
            _log.info("sensor is lost", extra={"sensor": watched.sensor.address, "reason": reason})
        self._something_ended.set()

    def _samples(self, watched: _Watched, value: bytes) -> None:
        """A *samples* notification came (a call of the central)."""
        self.counters.notifications += 1
        try:
            samples = imu_service.decode_samples(value)
        except MalformedValueError as error:
            self._malformed(watched.sensor, error)
            return
        watched.sensor.heard(self._clock())
        placed = watched.sequence.place_samples(samples.first, len(samples.values))
        if isinstance(placed, Dropped):
            self._dropped(watched.sensor, placed)
            return
        self._place(watched, placed)
        new = samples.values[placed.skip :]
        self.counters.samples += len(new)
        self._last_sample = self._clock()
        self._commit.put(SampleBlock(watched.stream, placed.first, new))

    def _annotation(self, watched: _Watched, value: bytes) -> None:
        """An *annotation* notification came (a call of the central)."""
        self.counters.notifications += 1
        try:
            mark = imu_service.decode_annotation(value)
        except MalformedValueError as error:
            self._malformed(watched.sensor, error)
            # What it would have said is unknown: no label is better than the last one.
            if (first := watched.sequence.annotation_lost()) is not None:
                self._commit.put(Annotation(watched.stream, first, NO_EXERCISE))
            return
        watched.sensor.heard(self._clock())
        placed = watched.sequence.place_annotation(mark.first)
        if isinstance(placed, Dropped):
            self._dropped(watched.sensor, placed)
            return
        self._place(watched, placed)
        self.counters.annotations += 1
        self._commit.put(Annotation(watched.stream, placed.first, mark.code))

    def _place(self, watched: _Watched, placed: Placed) -> None:
        if placed.new_stream:
            watched.stream = self._next_stream
            self._next_stream += 1
            self.counters.streams += 1
            self._commit.put(StreamStart(watched.stream, watched.sensor.address))
        if placed.missing:
            self.counters.gaps += 1
            self.counters.missing_samples += placed.missing

    def _malformed(self, sensor: Sensor, error: MalformedValueError) -> None:
        self.counters.malformed += 1
        if (held_back := self._admit(sensor, "malformed")) is not None:
            _log.warning(
                "dropped a malformed notification",
                extra={"sensor": sensor.address, "error": error, "held_back": held_back},
            )

    def _dropped(self, sensor: Sensor, reason: Dropped) -> None:
        if reason is Dropped.DUPLICATE:
            self.counters.duplicates += 1
        else:
            self.counters.out_of_order += 1
        if (held_back := self._admit(sensor, "sequence")) is not None:
            _log.warning(
                "dropped a notification",
                extra={"sensor": sensor.address, "reason": reason, "held_back": held_back},
            )

    def _admit(self, sensor: Sensor, topic: str) -> int | None:
        return self._log_limit.admit(f"{sensor.address} {topic}", self._clock())
