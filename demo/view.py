"""What is shown while the ward runs: a live table, or plain lines without a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from demo.observer import Sight
from edgenode.cli.output import tail_of

WIDE = 106
"""Columns of a terminal that has room for the whole table."""

_HEADINGS = {
    "node": "node",
    "height": "height",
    "head": "head",
    "round": "round",
    "own held-out accuracy": "own acc.",
    "kH/s": "",
    "updates sent": "updates",
    "peers": "",
    "windows": "windows",
}
"""Of the whole table; beside each that of the narrow one, which lacks some."""

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
        drawn = table(sights, wide=self._console.width >= WIDE)
        # Ctrl-C is echoed where the cursor is: in an empty line it does not displace the table.
        self._live.update(Group(drawn, self._progress, ""))


class PlainView:
    """A line now and then, for a log."""

    def __init__(self, blocks: int, stream: TextIO) -> None:
        """Show progress towards this many blocks."""
        self._blocks = blocks
        self._stream = stream
        self._began = time.monotonic()
        self._last = float("-inf")

    def __enter__(self) -> PlainView:
        """Nothing to do."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to do."""

    def say(self, text: str) -> None:
        """Print a line."""
        self._stream.write(f"{time.monotonic() - self._began:4.0f} s  {text}\n")
        self._stream.flush()

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


def choose_view(blocks: int, *, json: bool) -> View:
    """The view that fits standard output; with `json` that belongs to the document."""
    if json:
        return PlainView(blocks, sys.stderr)
    return LiveView(blocks) if sys.stdout.isatty() else PlainView(blocks, sys.stdout)


def table(sights: Sequence[Sight], *, wide: bool) -> Table:
    """A row for each box; if it is not wide, 80 columns hold it."""
    drawn = Table(title="edgenode: a ward on one machine")
    for full, short in _HEADINGS.items():
        if heading := full if wide else short:
            drawn.add_column(heading, justify="left" if full in {"node", "head"} else "right")
    for sight in sights:
        if sight.trouble:
            drawn.add_row(sight.name, "", sight.trouble)
            continue
        rate = None if sight.hash_rate is None else round(sight.hash_rate / 1000)
        cells = (
            sight.name,
            number(sight.height),
            "-" if sight.head is None else tail_of(sight.head),
            number(sight.round),
            percent(sight.accuracy),
            number(rate),
            number(sight.updates),
            number(sight.peers),
            number(sight.windows),
        )
        shown = zip(cells, _HEADINGS.values(), strict=True)
        drawn.add_row(*(cell for cell, short in shown if wide or short))
    return drawn


def percent(value: float | None) -> str:
    """A share in percent, or a dash."""
    return "-" if value is None else f"{100 * value:.1f} %"


def number(value: int | None) -> str:
    """A count, or a dash."""
    return "-" if value is None else str(value)
