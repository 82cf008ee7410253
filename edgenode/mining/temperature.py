"""When a box is too warm to mine: which of its sensors counts, and the ceiling. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

DEFAULT_CEILING_CELSIUS = 70
"""A Raspberry Pi slows its processor from 80 °C on (Raspberry Pi documentation, "Frequency
management and thermal control"), and with it what the box is there for. Ten degrees are left for
the others."""

HYSTERESIS_CELSIUS = 5
"""How far it must cool down before mining goes on: rests of minutes, not of one look."""

# What a sensor can say of a running box. The kernel has its own number for "no value", -274 °C.
_PLAUSIBLE = range(-40_000, 150_001)

# Of a Pi it is cpu-thermal, of other boards soc-thermal or cpu0-thermal, of a PC x86_pkg_temp. What
# else there is may be no measure: the zone of a Jetson's power chip says 100 °C for ever.
_PROCESSOR = re.compile("cpu|soc|pkg", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Zone:
    """A thermal zone of the kernel: its type, and its temperature in thousandths of a °C."""

    kind: str
    millidegrees: int


def warmest(zones: Iterable[Zone]) -> int | None:
    """The temperature that counts, in thousandths of a °C.

    That is the warmest zone of a processor; where none is called so, the warmest of all. None if
    nothing plausible is there.
    """
    plausible = [zone for zone in zones if zone.millidegrees in _PLAUSIBLE]
    processors = [zone for zone in plausible if _PROCESSOR.search(zone.kind)]
    return max((zone.millidegrees for zone in processors or plausible), default=None)


class Thermostat:
    """Says when to rest: from the ceiling on, until it is some degrees cooler."""

    def __init__(self, ceiling_celsius: int) -> None:
        """Begin without a rest."""
        self._ceiling = 1000 * ceiling_celsius
        self._cool = 1000 * (ceiling_celsius - HYSTERESIS_CELSIUS)
        self.rests = False

    def read(self, millidegrees: int | None) -> bool:
        """Take note of a temperature; whether to rest now.

        None, that it is not known, ends a rest: a broken sensor must not stop a ward's mining. The
        processor protects itself.
        """
        if millidegrees is None or millidegrees <= self._cool:
            self.rests = False
        elif millidegrees >= self._ceiling:
            self.rests = True
        return self.rests
