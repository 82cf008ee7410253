"""Whether the five services are at work, by systemd's word and by their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from edgenode.api.shapes import LastReport
from edgenode.api.wording import shown_duration
from edgenode.appliance.units import NOT_WANTED, SERVICES, UNITS, Unit
from edgenode.doctor.facts import Facts, Node, Unknown
from edgenode.doctor.finding import Finding, Remark, Value, concluded, fail, warn
from edgenode.exporter.snapshot import UP_SECONDS
from edgenode.services.config import NodeSettings
from edgenode.services.ending import EXIT_BAD_FILE

NAME = "services"

MANY_RESTARTS = 5
"""Restarts by systemd since somebody last started the unit that are no accident any more."""


def check(facts: Facts) -> Finding:
    """Look at each service that is expected, and at each unit that failed."""
    units: Mapping[str, Unit] = {} if isinstance(facts.units, Unknown) else facts.units
    expected = _expected(facts.settings, units)
    started = _units_of(expected, facts.settings)
    remarks: list[Remark] = []
    for name in UNITS:
        remark = _of_unit(name, units.get(name), name in started)
        if remark is None and name in expected:
            remark = _of_report(name, facts.node)
        if remark is not None:
            remarks.append(remark)
    if isinstance(facts.units, Unknown):
        remarks.append(warn(f"systemd does not answer: {facts.units.why}", "systemctl status"))
    values: dict[str, Value] = {"expected": tuple(sorted(expected))}
    for name, unit in units.items():
        values[f"{name}_unit"] = str(unit)
        values[f"{name}_restarts"] = unit.restarts
    if isinstance(facts.node, Node):
        for name, report in facts.node.services.items():
            values[f"{name}_report_age"] = report.age
    return concluded(NAME, remarks, f"{', '.join(_in_order(expected))} at work", values)


def _expected(settings: NodeSettings | Unknown | None, units: Mapping[str, Unit]) -> frozenset[str]:
    """The services that should be at work.

    The configuration asks for collector, trainer, miner and gateway by their tables. The exporter
    runs without one too, wherever it is a unit. Where the configuration cannot be used, what
    systemd has is all that is known.
    """
    if isinstance(settings, NodeSettings):
        asked = {name for name in (*SERVICES, "gateway") if name in settings.tables}
        return frozenset(asked | {"gossip"} | ({"exporter"} & units.keys()))
    wanted = {name for name, unit in units.items() if unit.result != NOT_WANTED}
    return frozenset({"miner" if name == "pool" else name for name in wanted} | {"gossip"})


def _units_of(expected: frozenset[str], settings: NodeSettings | Unknown | None) -> frozenset[str]:
    """The units of these services: a miner that has a network runs in one of its own."""
    has_network = isinstance(settings, NodeSettings) and settings.miner.has_network
    return expected - {"miner"} | {"pool"} if "miner" in expected and has_network else expected


def _of_unit(name: str, unit: Unit | None, expected: bool) -> Remark | None:
    """What systemd says against a service; None where it has no unit, or nothing to say."""
    if unit is None:
        return None
    log = f"see why: journalctl -u edgenode-{name} -n 50"
    ended = f"{unit.result}, exit status {unit.status}"
    remark = None
    match unit.active, unit.sub:
        case "active", _:
            if unit.restarts >= MANY_RESTARTS:
                remark = warn(f"{name} was restarted {unit.restarts} times", log)
        case _, "auto-restart":
            remark = fail(f"{name} ends again and again ({ended})", _mend(unit, log))
        case "failed", _:
            remark = fail(f"{name} failed ({ended})", _mend(unit, log))
        case (("activating" | "reloading" | "deactivating"), _):
            remark = warn(f"{name} is {unit.active}", "wait a little and look again")
        case _ if unit.unmet and expected:
            remark = fail(
                f"{name} waits: a condition of its unit is not met",
                f"systemctl status edgenode-{name} names it; a box without a ward needs the "
                "ward's key and genesis.toml on its card's FAT partition",
            )
        case _:
            if expected and unit.result != NOT_WANTED:
                start = f"systemctl start edgenode-{name}; if it ends, {log}"
                remark = fail(f"{name} is not started", start)
    return remark


def _mend(unit: Unit, log: str) -> str:
    if unit.status == EXIT_BAD_FILE:
        return f"a file must be mended first, which its log names; {log}"
    return log


def _of_report(name: str, node: Node | Unknown) -> Remark | None:
    """What a service itself, or its silence, says."""
    if name == "gossip":
        if isinstance(node, Unknown):
            hint = "it may still be starting; if not: journalctl -u edgenode-gossip -n 50"
            return fail(f"gossip does not answer: {node.why}", hint)
        return None
    if isinstance(node, Unknown):
        return None  # nobody can report to it
    return _of_last_report(name, node.services.get(name))


def _of_last_report(name: str, report: LastReport | None) -> Remark | None:
    log = f"is it started? journalctl -u edgenode-{name} -n 50"
    if report is None:
        return fail(f"{name} has not reported since the gossip service started", log)
    if report.age >= UP_SECONDS:
        return fail(f"{name} has been silent for {shown_duration(report.age)}", log)
    # Whether its sensors are there is a check of its own.
    if report.state != "ok" and name != "collector":
        return warn(
            f"{name}: {report.state}", f"if that lasts: journalctl -u edgenode-{name} -n 50"
        )
    return None


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(names, key=UNITS.index)
