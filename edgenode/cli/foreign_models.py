"""Comparing a ward's models with the tasks of this release."""

from __future__ import annotations

from edgenode.cli.new_genesis import model_of_task
from edgenode.ledger.genesis import Genesis
from edgenode.tasks.registry import TASKS


def foreign_models(genesis: Genesis) -> list[str]:
    """For each model that this release cannot train: why. Empty when all fit.

    Raises:
        TaskError: A task's own files cannot be read.
    """
    reasons = []
    for model in genesis.models:
        if model.name not in TASKS:
            known = ", ".join(sorted(TASKS))
            reasons.append(f"model {model.name}: this release has no such task; it has {known}")
            continue
        own = model_of_task(model.name)
        for field in ("parameters", "scale_bits", "root", "graph"):
            theirs, ours = getattr(model, field), getattr(own, field)
            if theirs != ours:
                reasons.append(f"model {model.name}: {field} is {theirs}, this release has {ours}")
    return reasons
