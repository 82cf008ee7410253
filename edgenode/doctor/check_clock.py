"""Whether the box mines and signs by its clock."""

from __future__ import annotations

from edgenode.api.shapes import ClockStatus
from edgenode.api.wording import shown_time
from edgenode.doctor.facts import Clock, Facts, Node, Unknown
from edgenode.doctor.finding import Finding, Remark, Value, concluded, fail, warn

NAME = "clock"

_SET = (
    "name a time server that the box reaches (timedatectl timesync-status), or set the clock by "
    "hand (sudo timedatectl set-ntp false; sudo timedatectl set-time)"
)
_VOUCH = f"{_SET} and vouch for it: edgenode clock accept"


def check(facts: Facts) -> Finding:
    """Judge as the node does, or without its word where it does not answer."""
    clock, told = facts.clock, None
    if isinstance(facts.node, Node):
        told = facts.node.status.clock
    values: dict[str, Value] = {}
    if told is not None:
        values |= {"trusted": told.trusted, "state": told.state}
    if isinstance(clock, Clock):
        values |= {"time": int(clock.wall), "synchronised": clock.synchronised}
    return concluded(NAME, _remarks(clock, told), _fine(clock, told), values)


def _remarks(clock: Clock | Unknown, told: ClockStatus | None) -> list[Remark]:
    if told is not None:
        if told.trusted:
            return []
        hint = _SET if told.state == "behind" else _VOUCH
        return [fail(f"not trusted, so no mining and no signing: {told.reason}", hint)]
    if isinstance(clock, Unknown):
        return [warn(f"it cannot be read: {clock.why}", _SET)]
    if clock.wall < clock.build:
        built = shown_time(clock.build)
        return [
            fail(f"{shown_time(clock.wall)} is before {built}, when this release was built", _SET)
        ]
    if not clock.synchronised:
        return [warn("not synchronised, and the node does not say what it makes of it", _SET)]
    return []


def _fine(clock: Clock | Unknown, told: ClockStatus | None) -> str:
    reason = "synchronised" if told is None else told.reason
    return reason if isinstance(clock, Unknown) else f"{shown_time(clock.wall)}, {reason}"
