"""All checks of a box."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgenode.doctor import (
    check_bluetooth,
    check_chain,
    check_clock,
    check_peers,
    check_sensors,
    check_services,
    check_settings,
    check_slot,
    check_storage,
)
from edgenode.doctor.facts import Facts
from edgenode.doctor.finding import Finding, Status, worst

CHECKS: dict[str, Callable[[Facts], Finding]] = {
    module.NAME: module.check
    for module in (
        check_settings,
        check_clock,
        check_storage,
        check_services,
        check_bluetooth,
        check_sensors,
        check_peers,
        check_chain,
        check_slot,
    )
}
"""In the order in which one would look: what stands further up may be why something below fails."""


@dataclass(frozen=True, slots=True)
class Report:
    """What all checks found."""

    findings: tuple[Finding, ...]

    @property
    def status(self) -> Status:
        """The worst of it."""
        return worst(self.findings)

    @property
    def ok(self) -> bool:
        """Whether there is nothing to look at."""
        return self.status is Status.OK


def examine(facts: Facts) -> Report:
    """Make all checks."""
    return Report(tuple(_checked(name, check, facts) for name, check in CHECKS.items()))


def _checked(name: str, check: Callable[[Facts], Finding], facts: Facts) -> Finding:
    try:
        return check(facts)
    except Exception as error:  # noqa: BLE001  (a check that is wrong must not hide the others)
        return Finding(
            name,
            Status.FAIL,
            f"this check is broken: {type(error).__name__}: {error}",
            "that is an error in edgenode itself: report it with what edgenode --version prints",
        )
