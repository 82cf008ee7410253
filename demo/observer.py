"""Looks on: what each box's local API says, once a second."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from demo.ward import Box
from edgenode.api.client import ApiError, NodeUnavailableError
from edgenode.api.shapes import LastReport
from edgenode.exporter.snapshot import UP_SECONDS

MODEL = "activity"


@dataclass(frozen=True, slots=True)
class Sight:
    """One box at one moment; None where it does not say anything.

    `trouble` is why nothing is known of the box.
    """

    name: str
    height: int | None = None
    head: str | None = None
    round: int | None = None
    accuracy: float | None = None
    hash_rate: float | None = None
    updates: int | None = None
    peers: int | None = None
    windows: int | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Whether all boxes hold the same head and, bit for bit, the same parameters."""

    heads: dict[str, str]
    parameters: dict[str, str]

    @property
    def holds(self) -> bool:
        """Whether they do."""
        return len(set(self.heads.values())) == len(set(self.parameters.values())) == 1


class Observer:
    """Asks boxes, and remembers which have answered."""

    def __init__(self) -> None:
        """No box has answered yet."""
        self._answered: set[str] = set()

    def look(self, box: Box) -> Sight:
        """Ask one box."""
        try:
            sight = _look(box)
        except NodeUnavailableError:
            trouble = "does not answer" if box.name in self._answered else "starting"
            return Sight(box.name, trouble=trouble)
        except ApiError as error:
            return Sight(box.name, trouble=str(error))
        self._answered.add(box.name)
        return sight


def _look(box: Box) -> Sight:
    status, services = box.client.status(), box.client.services()
    trainer, miner = _values(services, "trainer"), _values(services, "miner")
    submitted, windows = trainer.get("updates_submitted_total"), trainer.get("windows_total")
    return Sight(
        name=box.name,
        height=status.head.height,
        head=status.head.id,
        round=next(m.round for m in status.head.models if m.name == MODEL),
        accuracy=trainer.get("accuracy"),
        hash_rate=miner.get("hash_rate"),
        updates=None if submitted is None else int(submitted),
        peers=status.peers,
        windows=None if windows is None else int(windows),
    )


def _values(services: Mapping[str, LastReport], service: str) -> Mapping[str, float]:
    """What a service says of itself, if it has said so lately."""
    report = services.get(service)
    return report.values if report is not None and report.age < UP_SECONDS else {}


def agreement(boxes: Sequence[Box]) -> Agreement:
    """Fetch every box's head and exact parameters and hash them here."""
    heads, digests = {}, {}
    for box in boxes:
        exact = box.client.exact_parameters(MODEL)
        heads[box.name] = exact.block
        digests[box.name] = hashlib.sha256(exact.data).hexdigest()
    return Agreement(heads, digests)


def await_agreement(boxes: Sequence[Box], seconds: float) -> Agreement:
    """The agreement, once it holds or the time is up.

    Raises:
        NodeUnavailableError, ApiError: a node does not answer even then.
    """
    limit = time.monotonic() + seconds
    while True:
        try:
            found = agreement(boxes)
        except (NodeUnavailableError, ApiError):
            if time.monotonic() >= limit:
                raise
        else:
            if found.holds or time.monotonic() >= limit:
                return found
        time.sleep(0.5)
