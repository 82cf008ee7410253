"""The report at the end: what was learnt, how fast blocks came, what it cost, who agrees."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from rich.console import Console
from rich.table import Table

from demo.baselines import Row
from demo.learner import HeldOutPeople
from demo.observer import MODEL, Agreement
from demo.ward import Box


@dataclass(frozen=True, slots=True)
class SharedModel:
    """The shared model at one block; `accuracy` on the held-out people."""

    height: int
    round: int
    updates: int
    interval: int
    accuracy: float


@dataclass(frozen=True, slots=True)
class Report:
    """All that the demo found out.

    `bytes_sent` by node, `spacing` and the blocks' intervals in seconds.
    """

    shared: Sequence[SharedModel]
    baselines: Sequence[Row]
    held_out_people: Sequence[int]
    held_out_windows: int
    spacing: int
    bytes_sent: dict[str, int]
    agreement: Agreement
    plot: str

    @property
    def intervals(self) -> list[int]:
        """Seconds between blocks; the first one's depends on when the ward was founded."""
        return [block.interval for block in self.shared if block.height > 1]


def shared_by_block(box: Box, height: int, test: HeldOutPeople) -> list[SharedModel]:
    """Measure the shared model at every block of a box's chain up to a height."""
    accuracy_of: dict[str, float] = {}
    found = []
    for number in range(height + 1):
        block = box.client.block(number)
        state = next(model for model in block.models if model.name == MODEL)
        if state.root not in accuracy_of:
            parameters = box.client.parameters(MODEL, at=number)
            assert parameters is not None, "no condition was set"
            accuracy_of[state.root] = test.accuracy(parameters.values)
        found.append(
            SharedModel(
                height=number,
                round=state.round,
                updates=state.updates,
                interval=block.interval,
                accuracy=accuracy_of[state.root],
            )
        )
    return found


def draw(report: Report, path: Path) -> None:
    """Write the plot as PNG."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=[2, 1])
    heights = [block.height for block in report.shared]
    left.plot(
        heights, [100 * b.accuracy for b in report.shared], "o-", ms=3, lw=2, label="shared model"
    )
    if report.baselines:
        rounds = [row.round for row in report.baselines]
        left.plot(
            rounds, [100 * r.central for r in report.baselines], "--", label="all data in one place"
        )
        for n in range(len(report.baselines[0].alone)):
            left.plot(
                rounds,
                [100 * r.alone[n] for r in report.baselines],
                lw=0.9,
                color="grey",
                label="each box alone" if n == 0 else None,
            )
    people = " and ".join(map(str, report.held_out_people))
    left.set(
        xlabel="block (for the baselines: round)",
        ylabel="accuracy in %",
        ylim=(0, 100),
        title=f"Seven exercises, people {people} (never seen by any box)",
    )
    left.legend(loc="lower right")
    left.grid(alpha=0.3)
    right.bar(heights[2:], report.intervals, color="C0")
    right.axhline(report.spacing, color="C1", label=f"spacing {report.spacing} s")
    right.set(xlabel="block", ylabel="seconds since its parent", title="Block intervals")
    right.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def print_report(report: Report, console: Console) -> None:
    """Print the report for people."""
    console.print()
    console.print(_accuracies(report))
    _print_baselines(report, console)
    if report.intervals:
        console.print(
            f"block intervals: mean {statistics.mean(report.intervals):.1f} s, median "
            f"{statistics.median(report.intervals):.1f} s, longest {max(report.intervals)} s "
            f"(spacing {report.spacing} s)"
        )
    sent = ", ".join(f"{name} {count / 1e6:.1f} MB" for name, count in report.bytes_sent.items())
    console.print(f"sent: {sent}")
    console.print(f"plot: {report.plot}")
    _print_agreement(report.agreement, console)


def _accuracies(report: Report) -> Table:
    people = " and ".join(map(str, report.held_out_people))
    table = Table(
        title=f"Accuracy on people {people}, unseen by any box ({report.held_out_windows} windows)"
    )
    for heading in ("block", "round", "updates", "interval", "shared model"):
        table.add_column(heading, justify="right")
    table.add_column("each box alone (mean)", justify="right")
    table.add_column("all data in one place", justify="right")
    rows = {row.round: row for row in report.baselines}
    for block in report.shared:
        row = rows.get(block.height)
        table.add_row(
            str(block.height),
            str(block.round),
            str(block.updates),
            f"{block.interval} s" if block.height > 1 else "",
            f"{100 * block.accuracy:.1f} %",
            f"{100 * statistics.mean(row.alone):.1f} %" if row else "",
            f"{100 * row.central:.1f} %" if row else "",
        )
    return table


def _print_baselines(report: Report, console: Console) -> None:
    if not report.baselines:
        return
    last = report.baselines[-1]
    each = ", ".join(f"{100 * accuracy:.1f}" for accuracy in last.alone)
    console.print(
        f"in the end: shared {100 * report.shared[-1].accuracy:.1f} %; alone "
        f"{each} %; all data in one place, with as many steps as all boxes together, "
        f"{100 * last.central:.1f} %"
    )


def _print_agreement(agreement: Agreement, console: Console) -> None:
    if agreement.holds:
        console.print("all nodes hold the same head and bit-identical parameters:", style="green")
        console.print(f"  head        {next(iter(agreement.heads.values()))}", soft_wrap=True)
        console.print(
            f"  parameters  {next(iter(agreement.parameters.values()))} (SHA-256 of the integers)",
            soft_wrap=True,
        )
        return
    console.print("THE NODES DO NOT AGREE:", style="bold red")
    for name, head in agreement.heads.items():
        console.print(
            f"  {name}: head {head}, parameters {agreement.parameters[name]}", soft_wrap=True
        )
