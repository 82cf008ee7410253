"""`edgenode-health`: waits until the box's services are healthy, and confirms the slot then.

Once per start. A slot on trial that does not get there in time is left by a reboot: the unit
edgenode-trial.service does that, and would do it, too, if this program could not even start.
U-Boot comes back to the slot before when the starts of the trial are used up.
"""

from __future__ import annotations

import argparse
import enum
import logging
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgenode.api.client import ApiError, NodeClient, NodeUnavailableError
from edgenode.appliance.boot_slots import CMDLINE, BootSlots, current_slot
from edgenode.appliance.boot_state import BootStateError, confirmed
from edgenode.appliance.units import NOT_WANTED, SHOW, UNITS, Unit, units_in
from edgenode.services import logs
from edgenode.services.config import DEFAULT_API

log = logging.getLogger(__name__)

HEALTHY_FOR_S = 60.0
"""A service that crashes at its first block, sample or update has had the time to do so."""

ASK_EVERY_S = 2.0


class Condition(enum.Enum):
    """How a service is."""

    RUNS = "runs"
    NOT_WANTED = "not wanted"
    """The configuration has no table for it (docs/systemd.md)."""
    SICK = "sick"


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """What is seen of one service.

    Attributes:
        condition: How it is.
        restarts: How often systemd has restarted it since the box was started.
        detail: For people.
    """

    condition: Condition
    restarts: int
    detail: str


class HealthWatch:
    """Decides when all services have been healthy for long enough without a break."""

    def __init__(self, healthy_for: float = HEALTHY_FOR_S) -> None:
        """Nothing was seen yet.

        Args:
            healthy_for: Seconds.
        """
        self._healthy_for = healthy_for
        self._since: float | None = None
        self._restarts: dict[str, int] = {}

    def observe(self, now: float, services: Mapping[str, ServiceHealth]) -> bool:
        """Take what is seen now; whether the box is healthy.

        A service that was restarted since the last look begins the time anew, healthy or not.

        Args:
            now: A monotonic time in seconds, never less than before.
            services: Every service of the node, by name.
        """
        restarts = {name: health.restarts for name, health in services.items()}
        sick = any(health.condition is Condition.SICK for health in services.values())
        if sick:
            self._since = None
        elif self._since is None or restarts != self._restarts:
            self._since = now
        self._restarts = restarts
        return self._since is not None and now - self._since >= self._healthy_for


def read_units(text: str) -> dict[str, ServiceHealth]:
    """What `units.SHOW` prints, by the service's name; every service has its place."""
    missing = ServiceHealth(Condition.SICK, 0, "systemd does not know the unit")
    seen = {
        name: ServiceHealth(_condition(unit), unit.restarts, str(unit))
        for name, unit in units_in(text).items()
    }
    return {name: seen.get(name, missing) for name in UNITS}


def _condition(unit: Unit) -> Condition:
    if (unit.active, unit.sub) == ("active", "running"):
        return Condition.RUNS
    if (unit.active, unit.result) == ("inactive", NOT_WANTED):
        return Condition.NOT_WANTED
    return Condition.SICK


def _look(client: NodeClient) -> dict[str, ServiceHealth]:
    """The services as systemd and the local API see them now."""
    done = subprocess.run(  # noqa: S603
        SHOW, capture_output=True, text=True, check=False, timeout=60
    )
    services = read_units(done.stdout)
    try:
        client.status()
    except (NodeUnavailableError, ApiError) as error:
        gossip = services["gossip"]
        services["gossip"] = ServiceHealth(Condition.SICK, gossip.restarts, str(error))
    return services


def _wait_until_healthy(client: NodeClient) -> None:
    watch = HealthWatch()
    said = ""
    while True:
        services = _look(client)
        if watch.observe(time.monotonic(), services):
            return
        ill = {
            name: health.detail
            for name, health in services.items()
            if health.condition is Condition.SICK
        }
        text = ", ".join(f"{name} {detail}" for name, detail in ill.items())
        if text != said:
            if text:
                log.info("not healthy yet", extra={"services": text})
            else:
                log.info("healthy; watching")
            said = text
        time.sleep(ASK_EVERY_S)


def main(argv: Sequence[str] | None = None) -> int:
    """Wait for health, without end, and confirm the running slot; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="edgenode-health", description="Confirm the running slot once the box is healthy."
    )
    parser.add_argument("--api", type=Path, default=Path(DEFAULT_API), metavar="SOCKET")
    options = parser.parse_args(argv)
    logs.configure("health", logging.INFO)
    _wait_until_healthy(NodeClient(options.api))
    slot = current_slot(CMDLINE.read_text(encoding="utf-8"))
    if slot is None:
        log.info("healthy; this box has no slots to confirm")
        return 0
    try:
        state = BootSlots().change(lambda state: confirmed(state, slot))
    except (BootStateError, OSError) as error:
        log.error(
            "healthy, but the slot could not be confirmed",
            extra={"slot": slot.value, "error": error},
        )
        return 1
    log.info(
        "healthy: the slot is good", extra={"slot": slot.value, "generation": state.generation}
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
