"""What is shown while the ward runs: a live table, plain lines without a terminal, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo.observer import Sight

PLAIN_INTERVAL = 10.0
"""Seconds between two plain lines: a log that can be read."""


class View(Protocol):
    """Shows how the ward is getting on."""

    def __enter__(self) -> View:
        """Begin to show."""

    def __exit__(self, *_: object) -> None:
        """Leave the last state standing."""

    def say(self, text: str) -> None:
        """Show a line about what is being done."""

    def show(self, sights: Sequence[Sight], blocks: int) -> None:
        """Show the boxes and how many of the blocks have been mined."""


class LiveView:
    """A table that changes in place, with a progress bar to the last block."""

    def __init__(self, blocks: int) -> None:
        """Show progress towards this many blocks."""
        self._console = Console()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("blocks"),
            TimeElapsedColumn(),
        )
        self._task = self._progress.add_task("mining", total=blocks)
        self._live = Live(console=self._console, refresh_per_second=4)

    def __enter__(self) -> LiveView:
        """Take over the terminal's last lines."""
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Give them back."""
        self._live.stop()

    def say(self, text: str) -> None:
        """Show what is being done in front of the bar."""
        self._progress.update(self._task, description=text)

    def show(self, sights: Sequence[Sight], blocks: int) -> None:
        """Draw the table anew."""
        self._progress.update(self._task, completed=blocks)
        self._live.update(Group(table(sights), self._progress))


class PlainView:
    """A line now and then, for a log."""

    def __init__(self, blocks: int) -> None:
        """Show progress towards this many blocks."""
        self._blocks = blocks
        self._began = time.monotonic()
        self._last = float("-inf")

    def __enter__(self) -> PlainView:
        """Nothing to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to do."""

    def say(self, text: str) -> None:
        """Print a line."""
        sys.stdout.write(f"{time.monotonic() - self._began:4.0f} s  {text}\n")
        sys.stdout.flush()

    def show(self, sights: Sequence[Sight], blocks: int) -> None:
        """Print a line for the ward if the last one is old enough."""
        if time.monotonic() - self._last < PLAIN_INTERVAL:
            return
        self._last = time.monotonic()
        boxes = "; ".join(
            f"{s.name}: {s.trouble}"
            if s.trouble
            else f"{s.name}: height {s.height}, round {s.round}, accuracy {percent(s.accuracy)}, "
            f"{number(s.windows)} windows, {number(s.updates)} updates, {s.peers} peers"
            for s in sights
        )
        self.say(f"block {blocks} of {self._blocks}; {boxes}")


class NoView:
    """Shows nothing: standard output belongs to the JSON document."""

    def __enter__(self) -> NoView:
        """Nothing to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to do."""

    def say(self, text: str) -> None:
        """Show nothing."""

    def show(self, sights: Sequence[Sight], blocks: int) -> None:
        """Show nothing."""


def choose_view(blocks: int, *, json: bool) -> View:
    """The view that fits standard output."""
    if json:
        return NoView()
    return LiveView(blocks) if sys.stdout.isatty() else PlainView(blocks)


def table(sights: Sequence[Sight]) -> Table:
    """A row for each box."""
    drawn = Table(title="edgenode: a ward on one machine")
    for heading in ("node", "height", "head", "round"):
        drawn.add_column(heading, justify="left" if heading in {"node", "head"} else "right")
    drawn.add_column("own held-out accuracy", justify="right")
    drawn.add_column("kH/s", justify="right")
    for heading in ("updates sent", "peers", "windows"):
        drawn.add_column(heading, justify="right")
    for sight in sights:
        if sight.trouble:
            drawn.add_row(sight.name, "", sight.trouble)
            continue
        rate = None if sight.hash_rate is None else sight.hash_rate / 1000
        drawn.add_row(
            sight.name,
            str(sight.height),
            (sight.head or "")[-12:],
            str(sight.round),
            percent(sight.accuracy),
            "-" if rate is None else f"{rate:.0f}",
            number(sight.updates),
            str(sight.peers),
            number(sight.windows),
        )
    return drawn


def percent(value: float | None) -> str:
    """A share in percent, or a dash."""
    return "-" if value is None else f"{100 * value:.1f} %"


def number(value: int | None) -> str:
    """A count, or a dash."""
    return "-" if value is None else str(value)
