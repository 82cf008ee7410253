"""What a person sees of a ward that runs: a line whenever something changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Statuses = Sequence[Mapping[str, Any] | None]
"""What each node says (`edgenode status --json`); None of one that does not answer."""


def lines(names: Sequence[str], statuses: Statuses) -> list[str]:
    """A line for each box.

    Args:
        names: Of the boxes.
        statuses: What their nodes say.
    """
    told = []
    for name, status in zip(names, statuses, strict=True):
        if status is None:
            told.append(f"{name:8} does not answer")
            continue
        head = status["head"]
        rounds = ", ".join(f"{m['name']} round {m['round']}" for m in head["models"])
        told.append(f"{name:8} height {head['height']:4}  {head['id'][-12:]}  {rounds}")
    return told


def agreed(statuses: Statuses) -> int | None:
    """The height that all boxes are at with the same head; None while they are not."""
    if not all(statuses):
        return None
    heads = {(s["head"]["id"], s["head"]["height"]) for s in statuses if s}
    return heads.pop()[1] if len(heads) == 1 else None
