"""Reads the kernel's thermal zones."""

from __future__ import annotations

from pathlib import Path

from edgenode.mining.temperature import Zone

THERMAL = Path("/sys/class/thermal")

_ZONES_LIMIT = 64  # a server has some twenty; each costs two reads at every look
_TEXT_LIMIT = 64  # a type has at most 20 characters (THERMAL_NAME_LENGTH), a temperature eleven


def read_zones(root: Path = THERMAL) -> list[Zone]:
    """The zones that can be read; a machine may have none, and a zone may be switched off."""
    zones = []
    for path in sorted(root.glob("thermal_zone*"))[:_ZONES_LIMIT]:
        try:
            zones.append(Zone(_line(path / "type"), int(_line(path / "temp"))))
        except (OSError, ValueError):
            continue
    return zones


def _line(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_TEXT_LIMIT).decode("ascii").strip()
