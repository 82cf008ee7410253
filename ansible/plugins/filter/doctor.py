"""Filters for what `edgenode doctor --json` says: rollout.yml judges boxes by it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

_RANKS = {"ok": 0, "warn": 1, "fail": 2}

Checks = Mapping[str, Mapping[str, Any]]


def doctor_checks(said: str | None) -> Checks:
    """The checks by their names; none where the doctor could not speak.

    Args:
        said: What `edgenode doctor --json` printed; None where it was not reached.
    """
    try:
        return {check["name"]: check for check in json.loads(said or "")["checks"]}
    except (ValueError, KeyError, TypeError):
        return {}


def doctor_worse(now: Checks, before: Checks, names: Sequence[str]) -> list[str]:
    """What is worse than it was, as sentences for people; empty where nothing is.

    A check that is skipped now and was not before hides what it looked at, and counts as worse.

    Args:
        now: The checks as they are.
        before: The checks as they were.
        names: Those that count.
    """
    worse = []
    for name in names:
        if name not in now:
            worse.append(f"{name}: not told")
            continue
        was, status = before.get(name, {}).get("status", "ok"), now[name]["status"]
        if status != was and (status == "skip" or _RANKS[status] > _RANKS.get(was, _RANKS["ok"])):
            worse.append(f"{name}: {now[name]['detail']}")
    return worse


def doctor_ill(now: Checks, names: Sequence[str]) -> list[str]:
    """What fails, as sentences for people; empty where nothing does.

    Args:
        now: The checks as they are.
        names: Those that count.
    """
    return [
        f"{name}: {now[name]['detail']}" if name in now else f"{name}: not told"
        for name in names
        if name not in now or now[name]["status"] == "fail"
    ]


class FilterModule:
    """What Ansible looks for in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters by their names."""
        return {
            "doctor_checks": doctor_checks,
            "doctor_ill": doctor_ill,
            "doctor_worse": doctor_worse,
        }
