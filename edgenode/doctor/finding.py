"""What a check finds: a status, a sentence, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

Value = str | int | float | bool | None | tuple[str, ...]
"""A figure behind a finding, as JSON has it."""


class Status(StrEnum):
    """How something is."""

    OK = "ok"
    WARN = "warn"
    """It works, or will soon, and somebody should look."""
    FAIL = "fail"
    """It does not do what it is for."""
    SKIP = "skip"
    """It is not expected here, or cannot be told; that something else is broken says another
    check."""


_RANKS = {Status.SKIP: 0, Status.OK: 1, Status.WARN: 2, Status.FAIL: 3}


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        name: The check's name.
        status: How it is.
        detail: What was found, in a sentence.
        hint: What to do; empty where there is nothing to do.
        values: Figures behind it.
    """

    name: str
    status: Status
    detail: str
    hint: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that a check has to say; several make a finding."""

    status: Status
    text: str
    hint: str = ""


def warn(text: str, hint: str) -> Remark:
    """Somebody should look."""
    return Remark(Status.WARN, text, hint)


def fail(text: str, hint: str) -> Remark:
    """Something does not work."""
    return Remark(Status.FAIL, text, hint)


def skipped(name: str, why: str) -> Finding:
    """A check that is not for this box, or cannot be made."""
    return Finding(name, Status.SKIP, why)


def concluded(
    name: str, remarks: Sequence[Remark], fine: str, values: Mapping[str, Value]
) -> Finding:
    """A finding made of remarks: the worst ones speak first; without any, all is `fine`."""
    if not remarks:
        return Finding(name, Status.OK, fine, "", values)
    order = sorted(remarks, key=lambda remark: -_RANKS[remark.status])
    hints = dict.fromkeys(remark.hint for remark in order if remark.hint)
    return Finding(
        name, order[0].status, "; ".join(r.text for r in order), "; ".join(hints), values
    )


def worst(findings: Sequence[Finding]) -> Status:
    """The worst status of all; `OK` where nothing is expected."""
    statuses = [finding.status for finding in findings if finding.status is not Status.SKIP]
    return max(statuses, key=_RANKS.__getitem__, default=Status.OK)
