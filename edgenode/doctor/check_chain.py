"""Whether the chain grows."""

from __future__ import annotations

from edgenode.api.wording import shown_duration
from edgenode.doctor.facts import Clock, Facts, Node, Unknown, Ward
from edgenode.doctor.finding import Finding, Remark, Value, concluded, fail, skipped, warn

NAME = "chain"

LATE_SPACINGS = 10
"""Blocks come at random, like a Poisson process: without a fault, one gap in 22,000 is longer."""

STUCK_SPACINGS = 30
"""No gap is so long by chance."""


def check(facts: Facts) -> Finding:
    """Compare the age of the head with the time between blocks."""
    if isinstance(facts.node, Unknown):
        return skipped(NAME, "the node does not answer")
    status = facts.node.status
    values: dict[str, Value] = {
        "height": status.head.height,
        "best_header_height": status.best_header_height,
        "syncing": status.syncing,
    }
    age = None
    if isinstance(facts.clock, Clock) and status.clock.trusted:
        age = facts.clock.wall - status.head.time
        values["head_age"] = age
    if isinstance(facts.ward, Ward):
        values["spacing"] = facts.ward.spacing
    remarks = [*_behind(facts.node), *_age(age, facts.ward)]
    shown = f"height {status.head.height}"
    if age is None:
        fine = f"{shown}; how old the head is cannot be told by this clock"
    else:
        fine = f"{shown}, {shown_duration(max(0.0, age))} old"
    return concluded(NAME, remarks, fine, values)


def _behind(node: Node) -> list[Remark]:
    if not node.status.syncing:
        return []
    blocks = max(0, node.status.best_header_height - node.status.head.height)
    return [warn(f"catching up, {blocks} blocks behind", "wait: it takes seconds per block")]


def _age(age: float | None, ward: Ward | Unknown) -> list[Remark]:
    if age is None or isinstance(ward, Unknown):
        return []
    if age < -ward.future_bound:
        text = f"the head is {shown_duration(-age)} ahead of this clock"
        return [fail(text, "one of the two is wrong: edgenode clock show")]
    spacings = age / ward.spacing
    text = f"the last block is {shown_duration(age)} old; one comes every {ward.spacing} s"
    if spacings >= STUCK_SPACINGS:
        return [fail(text, "does any box of the ward mine? Does this one have peers?")]
    if spacings >= LATE_SPACINGS:
        return [warn(text, "look again; does any box of the ward mine?")]
    return []
