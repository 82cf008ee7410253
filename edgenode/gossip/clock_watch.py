"""Keeps an eye on the clock of the box: judges it, logs what changes, remembers it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from edgenode.gossip import clock
from edgenode.gossip.clock import Floors, Memory, Policy, Reading, Verdict
from edgenode.gossip.clock_file import read_memory, write_memory
from edgenode.gossip.system_clock import build_time, read_clocks

log = logging.getLogger(__name__)

FILE_NAME = "clock.json"

LOOK_SECONDS = 1.0
"""How often the clock is looked at when nobody asks."""

KEEP_SECONDS = 600.0
"""How often the time seen last is written: 144 small files a day, which a card bears for years."""


class ClockUntrustedError(Exception):
    """The node does not mine or sign by this clock; the text says why."""


class ClockWatch:
    """The clock of one box."""

    def __init__(
        self,
        policy: Policy,
        file: Path,
        newest: Callable[[], float],
        *,
        read: Callable[[], Reading] = read_clocks,
        build: float | None = None,
    ) -> None:
        """Read what the last start remembered.

        Args:
            policy: What the configuration asks for.
            file: What is remembered stands there; not touched if any clock will do.
            newest: The newest block's time less what it may be ahead, in Unix seconds.
            read: Reads the clocks.
            build: When this release was built, in Unix seconds; None to ask the system.
        """
        self._policy = policy
        self._file = file
        self._newest = newest
        self._read = read
        self._build = build_time() if build is None else build
        self._memory = Memory() if policy is Policy.ANY else read_memory(file)
        self._kept = self._memory
        self._retry_at = float("-inf")
        self._looked_at = float("-inf")
        self._said: Verdict | None = None

    def verdict(self) -> Verdict:
        """What is made of the clock now."""
        reading = self._read()
        verdict, self._memory = clock.judge(self._policy, reading, self._floors(), self._memory)
        self._looked_at = reading.since_boot
        self._say(verdict)
        self._keep(reading)
        return verdict

    def look(self, now: float) -> None:
        """Look at the clock, if nobody did within the last second; `now` since the boot."""
        if now - self._looked_at >= LOOK_SECONDS:
            self.verdict()

    def require(self) -> None:
        """Go on only with a clock that may be trusted.

        Raises:
            ClockUntrustedError: It may not.
        """
        verdict = self.verdict()
        if not verdict.trusted:
            raise ClockUntrustedError(f"this box's clock is not trusted: {verdict.reason}")

    def accept(self) -> Verdict:
        """Somebody vouches for the clock, until it is set again or the box restarts.

        Raises:
            ClockBehindError: It is certainly wrong.
        """
        if self._policy is not Policy.ANY:
            reading = self._read()
            self._memory = clock.accept(reading, self._floors())
            self._retry_at = float("-inf")  # written before anybody is told that it was accepted
            log.info("the clock was accepted by hand")
        return self.verdict()

    def _floors(self) -> Floors:
        return Floors(self._build, self._newest())

    def _say(self, verdict: Verdict) -> None:
        if self._said is not None and verdict.state is self._said.state:
            return
        if not verdict.trusted:
            log.warning(
                "no mining and no signing: the clock is not trusted",
                extra={"state": verdict.state.value, "reason": verdict.reason},
            )
        elif self._policy is not Policy.ANY or self._said is not None:
            log.info(
                "the clock is trusted",
                extra={"state": verdict.state.value, "reason": verdict.reason},
            )
        self._said = verdict

    def _keep(self, reading: Reading) -> None:
        """Write down what was learnt, unless it is old news."""
        if self._policy is Policy.ANY or not self._is_news():
            return
        if reading.since_boot < self._retry_at:
            return
        try:
            write_memory(self._file, self._memory)
        except OSError as error:
            # The next start has an older floor; this one goes on.
            log.warning(
                "the time seen last is not kept",
                extra={"file": self._file, "error": error.strerror},
            )
            self._retry_at = reading.since_boot + KEEP_SECONDS
        else:
            self._kept = self._memory

    def _is_news(self) -> bool:
        old, new = self._kept, self._memory
        if (old.vouched is None) != (new.vouched is None):
            return True
        if old.vouched is not None and new.vouched is not None:
            moved = abs(old.vouched.offset - new.vouched.offset) > clock.STEP_SECONDS
            same = (old.vouched.state, old.vouched.boot) == (new.vouched.state, new.vouched.boot)
            if moved or not same:
                return True
        return abs(new.last_seen - old.last_seen) >= KEEP_SECONDS
