"""Whether samples come in and are kept."""

from __future__ import annotations

from collections.abc import Mapping

from edgenode.api.wording import shown_duration
from edgenode.doctor.facts import Clock, Facts, Node
from edgenode.doctor.finding import Finding, Remark, Value, concluded, fail, skipped, warn
from edgenode.exporter.snapshot import UP_SECONDS
from edgenode.services.config import NodeSettings

NAME = "sensors"

QUIET_S = 60.0
"""A sensor notifies many times a second, and reconnects within half a minute."""

LOST_S = 900.0
"""Nobody takes a sensor off for so long without knowing it."""

_SENSOR = "is it charged, switched on and near? Is its address among [collector] sensors?"


def check(facts: Facts) -> Finding:
    """Look at the collector's last report."""
    if not isinstance(facts.settings, NodeSettings):
        return skipped(NAME, "no configuration says whether any are expected")
    if facts.settings.collector is None:
        return skipped(NAME, "not expected: the configuration has no [collector]")
    if not isinstance(facts.node, Node):
        return skipped(NAME, "the node does not answer")
    report = facts.node.services.get("collector")
    if report is None or report.age >= UP_SECONDS:
        return skipped(NAME, "the collector does not report")
    wanted = len(facts.settings.collector.sensors)
    connected = int(report.values.get("connected_sensors", 0))
    age = _age(report.values, facts)
    remarks = [*_silence(age), *_missing(connected, wanted), *_losses(report.values)]
    fine = f"{connected} of {wanted} connected"
    if age is not None:
        fine += f", last sample {shown_duration(age)} ago"
    values: dict[str, Value] = {
        "connected": connected,
        "configured": wanted,
        "last_sample_age": age,
        "stored_samples": report.values.get("stored_samples_total"),
    }
    return concluded(NAME, remarks, fine, values)


def _age(values: Mapping[str, float], facts: Facts) -> float | None:
    """Seconds since the last sample, or since the collector started."""
    last = values.get("last_sample_timestamp_seconds")
    if last is None or not isinstance(facts.clock, Clock):
        return None
    return max(0.0, facts.clock.wall - last)


def _silence(age: float | None) -> list[Remark]:
    if age is None or age < QUIET_S:
        return []
    text = f"no sample for {shown_duration(age)}"
    return [fail(text, _SENSOR) if age >= LOST_S else warn(text, _SENSOR)]


def _missing(connected: int, wanted: int) -> list[Remark]:
    if connected >= wanted:
        return []
    return [warn(f"{connected} of {wanted} sensors connected", _SENSOR)]


def _losses(values: Mapping[str, float]) -> list[Remark]:
    lost = values.get("dropped_samples_total", 0)
    if not lost:
        return []
    text = f"{lost:,.0f} samples were given up since the collector started"
    return [warn(text, "the store had no room or could not be written: see storage")]
