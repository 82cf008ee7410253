"""The life of one sensor, as a state machine: when to look for it, and when to leave it alone.

    state        event              next state
    ---------    ---------------    -------------------------------------------------
    absent       connecting()       connecting
    connecting   failed(now)        absent, wanted again after a longer pause
    connecting   streaming(now)     streaming
    streaming    heard(now)         streaming; the pause is short again
    streaming    lost(now)          absent, wanted again after a pause

The clock is the caller's: a monotonic time in seconds goes in with the events that need one.
"""

from __future__ import annotations

from enum import StrEnum

# The first pause gives the sensor time to notice the disconnection and to advertise again (tens to
# hundreds of milliseconds); the longest keeps a sensor that fails at once from keeping the adapter
# busy, and still lets data flow again well within 30 s of the sensor's recovery.
SHORTEST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 8.0
# A sensor notifies at least once a second, and the controller ends a link that is broken for its
# supervision timeout, of 32 s at most. A connection that delivers nothing for about as long is
# broken where nobody tells us: bluetoothd was restarted, or the sensor's firmware hangs.
SILENCE_S = 30.0


class SensorState(StrEnum):
    """What the collector and the sensor are doing."""

    ABSENT = "absent"
    CONNECTING = "connecting"
    STREAMING = "streaming"


class SensorStateError(RuntimeError):
    """An event came in a state that has no such event: a bug in the caller."""


class Sensor:
    """One sensor of the allow-list.

    Attributes:
        address: Its Bluetooth address, upper case with colons.
        state: Where it is in its life.
        connections: How often it reached `streaming`.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.state = SensorState.ABSENT
        self.connections = 0
        self._failures = 0
        self._not_before = float("-inf")
        self._heard_at = float("-inf")

    @property
    def wanted_from(self) -> float | None:
        """The time from which on to look for it; None while there is nothing to look for."""
        return self._not_before if self.state is SensorState.ABSENT else None

    @property
    def silent_from(self) -> float | None:
        """The time from which on it is silent for too long; None while it is not streaming."""
        return self._heard_at + SILENCE_S if self.state is SensorState.STREAMING else None

    def connecting(self) -> None:
        """It was seen and a connection is being made."""
        self._go(SensorState.ABSENT, SensorState.CONNECTING)

    def failed(self, now: float) -> None:
        """No connection came about, or the sensor does not offer what it should."""
        self._go(SensorState.CONNECTING, SensorState.ABSENT)
        self._pause(now)

    def streaming(self, now: float) -> None:
        """It is connected and its notifications are subscribed."""
        self._go(SensorState.CONNECTING, SensorState.STREAMING)
        self.connections += 1
        self._heard_at = now

    def heard(self, now: float) -> None:
        """A valid notification came: the connection is good, so past failures do not count."""
        if self.state is SensorState.STREAMING:
            self._failures = 0
            self._heard_at = now

    def lost(self, now: float) -> None:
        """The connection ended, whoever ended it."""
        self._go(SensorState.STREAMING, SensorState.ABSENT)
        self._pause(now)

    def _go(self, source: SensorState, target: SensorState) -> None:
        if self.state is not source:
            raise SensorStateError(
                f"sensor {self.address} is {self.state}, it cannot go from {source} to {target}"
            )
        self.state = target

    def _pause(self, now: float) -> None:
        # Bounded before the shift: years of failures must not build a huge number.
        doublings = min(self._failures, 16)
        self._failures += 1
        self._not_before = now + min(SHORTEST_PAUSE_S * 2.0**doublings, LONGEST_PAUSE_S)
