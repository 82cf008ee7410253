"""The report at the end: what was learnt, how fast blocks came, what it cost, who agrees."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from demo.baselines_process import Baselines
from demo.learner import HeldOutPeople
from demo.observer import MODEL, Agreement
from demo.ward import Box

AVERAGED = 5
"""Blocks whose mean stands for the result: a single one may be one box's model alone."""


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

    Attributes:
        shared: The shared model at each block, from genesis on.
        blocks: Blocks that were to be mined.
        seconds: How long the ward was given for them.
        spacing: Seconds between blocks.
        speed: Times life at which the recordings were played.
        bytes_sent: By node.
        restarts: Services that were started more than once, and how often.
        failures: What did not run to the end.
    """

    shared: Sequence[SharedModel]
    blocks: int
    seconds: float
    baselines: Baselines
    held_out_people: Sequence[int]
    held_out_windows: int
    spacing: int
    speed: float
    bytes_sent: Mapping[str, int]
    restarts: Mapping[str, int]
    agreement: Agreement
    failures: Sequence[str]

    @property
    def intervals(self) -> list[int]:
        """Seconds between blocks; the first one's depends on when the ward was founded."""
        return [block.interval for block in self.shared if block.height > 1]

    @property
    def problems(self) -> list[str]:
        """Why the run is a failure; empty if it is none."""
        found = list(self.failures)
        if self.baselines.failure:
            found.append(self.baselines.failure)
        if not self.shared[-1].round:
            found.append("no round was aggregated")
        if not self.agreement.holds:
            found.append("the nodes do not agree")
        return found


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


def print_report(report: Report, console: Console) -> None:
    """Print the report for people."""
    console.print()
    console.print(_accuracies(report))
    if (height := report.shared[-1].height) < report.blocks:
        valid = "" if report.problems else ": shorter than asked for, and valid as far as it goes"
        console.print(
            f"stopped after {report.seconds:.0f} s at block {height} of {report.blocks}{valid}"
        )
    _print_baselines(report, console)
    if report.intervals:
        console.print(
            f"block intervals: mean {statistics.mean(report.intervals):.1f} s, median "
            f"{statistics.median(report.intervals):.1f} s, longest {max(report.intervals)} s "
            f"(spacing {report.spacing} s)"
        )
    sent = ", ".join(f"{name} {count / 1e6:.1f} MB" for name, count in report.bytes_sent.items())
    console.print(f"sent: {sent}")
    if report.restarts:
        restarts = ", ".join(f"{name} {count} times" for name, count in report.restarts.items())
        console.print(f"started more than once: {restarts}")
    _print_agreement(report.agreement, console)


def _accuracies(report: Report) -> Table:
    people = " and ".join(map(str, report.held_out_people))
    table = Table(
        title=f"Accuracy on people {people}, unseen by any box ({report.held_out_windows} windows)",
        caption="A block with one update is one box's model: such blocks dip.\n"
        "The baselines stand at their own round of the same number.",
    )
    for heading in ("block", "round", "updates", "interval", "shared model"):
        table.add_column(heading, justify="right")
    table.add_column("each box alone (mean)", justify="right")
    table.add_column("all data in one place", justify="right")
    rows = {row.round: row for row in report.baselines.rows}
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
    rows = {row.round: row for row in report.baselines.rows}
    reached, height = max(rows, default=0), report.shared[-1].height
    if reached < report.blocks:
        why = ": the time was up" if report.baselines.cut_off else ""
        console.print(f"baselines reached round {reached} of {report.blocks}{why}")
    same = min(reached, height)
    chosen = range(max(1, same - AVERAGED + 1), same + 1)
    if not chosen:
        return
    if same == height >= AVERAGED:
        which = "mean of the last five blocks"
    else:
        which = f"mean of blocks {chosen[0]} to {same}" if same > 1 else "at block 1"
    shared = statistics.mean(report.shared[n].accuracy for n in chosen)
    alone = statistics.mean(statistics.mean(rows[n].alone) for n in chosen)
    central = statistics.mean(rows[n].central for n in chosen)
    console.print(
        f"{which}: shared {100 * shared:.1f} %; alone {100 * alone:.1f} %; "
        f"all data in one place {100 * central:.1f} %"
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
