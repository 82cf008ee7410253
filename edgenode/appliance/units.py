"""The node's services as systemd sees them: for the health of a slot, and for the doctor."""

from __future__ import annotations

from dataclasses import dataclass

SERVICES = ("collector", "trainer", "gossip", "miner", "exporter")

UNITS = ("collector", "trainer", "gossip", "miner", "pool", "gateway", "exporter")
"""Their units; `pool` is the miner of a box that has a network, and reports as `miner`. A box that
is a gateway runs one service more."""

NOT_WANTED = "exec-condition"
"""Result of a unit whose condition said that the configuration has no table for it."""

_PROPERTIES = (
    "Id", "LoadState", "ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts",
    "ConditionResult", "ConditionTimestampMonotonic",
)  # fmt: skip

SHOW = (
    "systemctl",
    "show",
    f"--property={','.join(_PROPERTIES)}",
    *(f"edgenode-{name}.service" for name in UNITS),
)
"""The command whose output `units_in` reads."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A service as systemd sees it; the words are systemd's.

    Attributes:
        active: ActiveState.
        sub: SubState.
        result: Result of the last run.
        status: Exit status of the last run.
        restarts: How often it was restarted by itself.
        unmet: Whether it was to start and a condition of it was not met.
    """

    active: str
    sub: str
    result: str
    status: int
    restarts: int
    unmet: bool = False

    def __str__(self) -> str:
        return f"{self.active} ({self.sub}, {self.result})"


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
