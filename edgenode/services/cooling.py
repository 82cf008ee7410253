"""Lets the miner rest while its box is too warm."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from edgenode.mining.temperature import Thermostat, warmest
from edgenode.mining.thermal_zones import read_zones

log = logging.getLogger(__name__)


class Cooling:
    """Looks at the box's temperature when it is asked to, and holds the search when need be."""

    def __init__(self, ceiling_celsius: int, hold: Callable[[bool], None], zones: Path) -> None:
        """Begin without a rest.

        Args:
            ceiling_celsius: From this temperature on mining rests.
            hold: Told at each change whether to hold the search.
            zones: The kernel's directory of thermal zones.
        """
        self._ceiling_celsius = ceiling_celsius
        self._hold = hold
        self._zones = zones
        self._thermostat = Thermostat(ceiling_celsius)
        self._millidegrees: int | None = None
        self._looked: float | None = None
        self._rested = 0.0
        self._said_blind = False

    def look(self, now: float) -> None:
        """Look at the temperature; `now` in monotonic seconds."""
        rested = self._thermostat.rests
        if rested and self._looked is not None:
            self._rested += now - self._looked
        self._looked = now
        self._millidegrees = warmest(read_zones(self._zones))
        if self._millidegrees is None and not self._said_blind:
            self._said_blind = True
            log.warning(
                "no temperature to be read: the ceiling is not watched",
                extra={"zones": self._zones, "ceiling_celsius": self._ceiling_celsius},
            )
        rests = self._thermostat.read(self._millidegrees)
        if rests != rested:
            self._hold(rests)
            if rests:
                log.info("too warm: resting", extra={"celsius": self._celsius})
            else:
                log.info("resting no more", extra={"celsius": self._celsius})

    @property
    def state(self) -> str:
        """Why mining rests; "ok" when it does not."""
        if self._thermostat.rests:
            return f"too warm: resting (ceiling {self._ceiling_celsius} °C)"
        return "ok"

    def values(self) -> dict[str, float]:
        """The values of the miner's report; the temperature is left out while it is not known."""
        values: dict[str, float] = {"rested_seconds_total": self._rested}
        if (celsius := self._celsius) is not None:
            values["temperature_celsius"] = celsius
        return values

    @property
    def _celsius(self) -> float | None:
        return None if self._millidegrees is None else self._millidegrees / 1000
