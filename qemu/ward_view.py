"""What a person sees of a ward that runs: a line whenever something changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def lines(names: Sequence[str], statuses: Sequence[Mapping[str, Any]]) -> list[str]:
    """A line for each box.

    Args:
        names: Of the boxes.
        statuses: What their nodes say (`edgenode status --json`).
    """
    told = []
    for name, status in zip(names, statuses, strict=True):
        head = status["head"]
        rounds = ", ".join(f"{m['name']} round {m['round']}" for m in head["models"])
        told.append(f"{name:8} height {head['height']:4}  {head['id'][-12:]}  {rounds}")
    return told


def agreed(statuses: Sequence[Mapping[str, Any]]) -> int | None:
    """The height that all boxes are at with the same head; None while they are not."""
    heads = {(status["head"]["id"], status["head"]["height"]) for status in statuses}
    return heads.pop()[1] if len(heads) == 1 else None
