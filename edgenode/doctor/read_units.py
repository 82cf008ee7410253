"""The five services as systemd sees them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgenode.appliance.units import SHOW, Unit, units_in
from edgenode.doctor.command import CommandError, output_of
from edgenode.doctor.facts import Unknown

SYSTEMD = Path("/run/systemd/system")
"""It exists where systemd is the first process (sd_booted(3))."""


def read_units(systemd: Path = SYSTEMD) -> Mapping[str, Unit] | Unknown:
    """Ask systemd, where it runs; none of the services need be its unit."""
    if not systemd.is_dir():
        return {}
    try:
        return units_in(output_of(*SHOW))
    except CommandError as error:
        return Unknown(str(error))
