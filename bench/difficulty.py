"""The pace of simulated wards: mean interval, how soon it is back, what forged times do to it.

    python -m bench.difficulty [--seeds 5] [--plot docs/difficulty.png]

Prints the scenarios and tables of docs/difficulty.md, each figure the lowest and the highest of the
seeds. The plot shows the first seed.
"""

import argparse
import statistics
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from edgenode.cli.new_genesis import new_genesis
from edgenode.ledger.genesis import Genesis, Member
from edgenode.ledger.keys import MemberKey
from edgenode.sim.difficulty import MEDIAN_ONLY
from edgenode.sim.pace_scenarios import DAY, HARDSHIPS, SCENARIOS, Played, Scenario, play

HEAD = ("scenario", "mean interval, s", "below twice the spacing", "above half the spacing",
        "found in vain", "strays, doublings")  # fmt: skip
COLUMNS = 4
RUNNING = 30
"""Blocks in the running mean of the plot."""


@cache
def found(spacing: int) -> Genesis:
    """A new ward of a million hashes per second."""
    return new_genesis(
        name="simulated",
        time=1_700_000_000,
        members=[Member("box", MemberKey(bytes(32)).public.hex())],
        models=["activity"],
        spacing=spacing,
    )


def listed(scenarios: Sequence[Scenario]) -> Iterator[str]:
    for scenario in scenarios:
        if scenario.rules is not MEDIAN_ONLY:
            yield f"- **{scenario.name}**: {scenario.text}"


def span(values: Sequence[float], form: str) -> str:
    low, high = (form.format(value) for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def back(backs: Sequence[tuple[int, float] | None]) -> str:
    known = [back for back in backs if back is not None]
    if len(known) < len(backs):
        return "never" if not known else f"not in {len(backs) - len(known)} of {len(backs)} runs"
    blocks = span([count for count, _ in known], "{:.0f}")
    return f"after {blocks} blocks, {span([s / 3600 for _, s in known], '{:.1f}')} h"


def row(scenario: Scenario, played: Sequence[Played]) -> tuple[str, ...]:
    return (
        scenario.name,
        span([p.mean for p in played], "{:.1f}").replace("inf", "∞"),
        back([p.not_slow for p in played]) if scenario.step is not None else "",
        back([p.not_quick for p in played]) if scenario.step is not None else "",
        span([100 * p.beside for p in played], "{:.0f}") + " %",
        ", then ".join(span([p.spreads[half] for p in played], "{:.2f}") for half in (0, 1)),
    )


def table(scenarios: Sequence[Scenario], seeds: int) -> Iterator[str]:
    yield f"| {' | '.join(HEAD)} |"
    yield "|" + "---|" * len(HEAD)
    for scenario in scenarios:
        yield f"| {' | '.join(row(scenario, [play(scenario, found, s) for s in range(seeds)]))} |"


def draw(scenarios: Sequence[Scenario], path: Path) -> None:
    rows = -(-len(scenarios) // COLUMNS)
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(4 * COLUMNS, 2.1 * rows))
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, scenario in zip(axes.flat, scenarios, strict=False):
        axis.set_axis_on()
        blocks = play(scenario, found, 0).blocks
        days = [block.at / DAY for block in blocks]
        intervals = [b.at - a.at for a, b in pairwise(blocks)]
        running = [
            max(0.1, statistics.fmean(intervals[i : i + RUNNING]))
            for i in range(len(intervals) - RUNNING)
        ]
        axis.plot(days[RUNNING : RUNNING + len(running)], running, lw=0.4, color="C0")
        axis.plot(days, [block.expected for block in blocks], lw=0.7, color="C1")
        spacing = scenario.spacing
        axis.axhline(spacing, lw=0.5, color="black")
        axis.axhline(2 * spacing, lw=0.5, color="black", ls=":")
        axis.set(yscale="log", xlim=(0, scenario.days))
        low, high = axis.get_ylim()
        axis.set_ylim(min(low, spacing / 10), max(high, 10 * spacing))
        axis.set_title(scenario.name, fontsize=9)
        axis.tick_params(labelsize=7)
    figure.suptitle(
        f"Seconds between blocks by day: mean of {RUNNING} (blue), mean at the target (orange); "
        "black: the spacing, and its double", fontsize=10,
    )  # fmt: skip
    figure.tight_layout(rect=(0, 0, 1, 0.985))
    figure.savefig(path, dpi=75)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--plot", type=Path, help="where to write the plot, a PNG")
    arguments = parser.parse_args()
    for scenarios in (SCENARIOS, HARDSHIPS):
        for line in (*listed(scenarios), "", *table(scenarios, arguments.seeds), ""):
            print(line)
    if arguments.plot is not None:
        draw([*SCENARIOS, *HARDSHIPS], arguments.plot)


if __name__ == "__main__":
    main()
