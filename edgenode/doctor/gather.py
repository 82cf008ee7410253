"""Finds out all that is known of a box, in bounded time, whatever of it is broken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from edgenode.doctor.facts import Clock, Facts, Unknown
from edgenode.doctor.read_node import read_node
from edgenode.doctor.read_seeds import read_seeds
from edgenode.doctor.read_settings import read_mistakes, read_settings, read_ward
from edgenode.doctor.read_slots import read_slots
from edgenode.doctor.read_storage import read_storage
from edgenode.doctor.read_units import read_units
from edgenode.gossip.system_clock import build_time, is_synchronised
from edgenode.services.config import DEFAULT_API, NodeSettings

Fact = TypeVar("Fact")

TIMEOUT_S = 20.0
"""For all of it together: a disk or a resolver that hangs is a finding, not a reason to hang."""


class _Question(Generic[Fact]):
    """Something that is being found out, on a thread that nobody waits for beyond a time."""

    def __init__(self, ask: Callable[[], Fact]) -> None:
        self._ask = ask
        self._answer: Fact | Unknown | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def answer(self, deadline: float) -> Fact | Unknown:
        """What was found out by then; `deadline` in monotonic seconds."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            return Unknown(f"no answer within {TIMEOUT_S:.0f} s")
        return self._answer  # type: ignore[return-value]  # set when the thread has ended

    def _run(self) -> None:
        try:
            self._answer = self._ask()
        except Exception as error:  # noqa: BLE001  (what is broken here is what is to be told)
            self._answer = Unknown(f"{type(error).__name__}: {error}")


def gather(config: Path, socket: Path | None) -> Facts:
    """Look at the box.

    Args:
        config: The node's configuration.
        socket: The node's socket, if the configuration's is not meant.
    """
    deadline = time.monotonic() + TIMEOUT_S
    read = _Question(partial(read_settings, config, optional=socket is not None)).answer(deadline)
    settings = read if isinstance(read, NodeSettings) else None
    api = socket or (settings.api if settings else Path(DEFAULT_API))
    mistakes = _Question(read_mistakes)
    node = _Question(partial(read_node, api))
    clock = _Question(_read_clock)
    storage = _Question(partial(read_storage, settings))
    units = _Question(read_units)
    adapters = _Question(_read_adapters) if _wants_adapter(settings) else None
    seeds = _Question(partial(read_seeds, settings.gossip.seeds if settings else ()))
    ward = _Question(partial(read_ward, settings))
    slots = _Question(read_slots)
    return Facts(
        settings=read,
        mistakes=mistakes.answer(deadline),
        node=node.answer(deadline),
        clock=clock.answer(deadline),
        storage=storage.answer(deadline),
        units=units.answer(deadline),
        adapters=adapters.answer(deadline) if adapters else {},
        seeds=seeds.answer(deadline),
        ward=ward.answer(deadline),
        slots=slots.answer(deadline),
    )


def _wants_adapter(settings: NodeSettings | None) -> bool:
    return (
        settings is not None
        and settings.collector is not None
        and settings.collector.adapter.startswith("bluez:")
    )


def _read_clock() -> Clock:
    return Clock(time.time(), build_time(), is_synchronised())


def _read_adapters() -> Mapping[str, bool] | Unknown:
    # Imported here: no other command needs D-Bus, and a slow board would feel it.
    from edgenode.doctor.read_adapters import read_adapters  # noqa: PLC0415

    return read_adapters()
