"""The five services as systemd sees them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgenode.doctor.check_services import SERVICES
from edgenode.doctor.command import CommandError, output_of
from edgenode.doctor.facts import Unit, Unknown

SYSTEMD = Path("/run/systemd/system")
"""It exists where systemd is the first process (sd_booted(3))."""

_PROPERTIES = (
    "Id", "LoadState", "ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts",
    "ConditionResult", "ConditionTimestampMonotonic",
)  # fmt: skip


def read_units(systemd: Path = SYSTEMD) -> Mapping[str, Unit] | Unknown:
    """Ask systemd, where it runs; none of the services need be its unit."""
    if not systemd.is_dir():
        return {}
    names = [f"edgenode-{name}.service" for name in SERVICES]
    try:
        return units_in(
            output_of("systemctl", "show", f"--property={','.join(_PROPERTIES)}", *names)
        )
    except CommandError as error:
        return Unknown(str(error))


def units_in(text: str) -> dict[str, Unit]:
    """The units that `systemctl show` printed, by the service's name; those that it knows."""
    units = {}
    for block in text.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if values.get("LoadState") in {None, "not-found"}:
            continue
        name = values.get("Id", "").removeprefix("edgenode-").removesuffix(".service")
        units[name] = Unit(
            active=values.get("ActiveState", ""),
            sub=values.get("SubState", ""),
            result=values.get("Result", ""),
            status=_number(values.get("ExecMainStatus", "")),
            restarts=_number(values.get("NRestarts", "")),
            # Of a unit that nobody has started yet ConditionResult says no as well.
            unmet=values.get("ConditionResult") == "no"
            and _number(values.get("ConditionTimestampMonotonic", "")) > 0,
        )
    return units


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
