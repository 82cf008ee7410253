"""Waiting for something to be so, and giving up only when it can hardly come any more.

A guest under emulation on a busy machine may be ten times slower than on an idle one. So nothing
here waits for a number of seconds: it waits for what should happen, and the patience is long.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from qemu.errors import PatienceError

T = TypeVar("T")

BOOT_PATIENCE = 1800.0
"""Seconds from power to a login. 40 on an idle machine, 420 were seen at a load of 15."""

ANSWER_PATIENCE = 600.0
"""Seconds for a command in a guest that is up."""

PROCESS_PATIENCE = 60.0
"""Seconds for a process of the host to start, to answer or to end."""

_PAUSE = 0.05


class Clock:
    """How much of a patience is left."""

    def __init__(self, patience: float) -> None:
        self._end = time.monotonic() + patience

    @property
    def left(self) -> float:
        """Seconds left, 0 or more."""
        return max(0.0, self._end - time.monotonic())


def await_it(
    look: Callable[[], T | None],
    patience: float,
    explain: Callable[[], str],
    pause: float = _PAUSE,
) -> T:
    """Look until there is something to see.

    Args:
        look: Gives None as long as there is nothing.
        patience: Seconds.
        explain: What to say when it is at an end.
        pause: Seconds between two looks.

    Raises:
        PatienceError: There was nothing to the end.
    """
    clock = Clock(patience)
    while True:
        last = not clock.left
        if (seen := look()) is not None:
            return seen
        if last:
            raise PatienceError(explain())
        time.sleep(min(pause, clock.left))
