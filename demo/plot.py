"""The plot of the report."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from demo.report import Report


def draw(report: Report, path: Path) -> None:
    """Write the plot as PNG."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=[2, 1])
    heights = [block.height for block in report.shared]
    left.plot(
        heights, [100 * b.accuracy for b in report.shared], "o-", ms=3, lw=2, label="shared model"
    )
    if rows := report.baselines.rows:
        rounds = [row.round for row in rows]
        left.plot(rounds, [100 * r.central for r in rows], "--", label="all data in one place")
        for n in range(len(rows[0].alone)):
            left.plot(
                rounds,
                [100 * r.alone[n] for r in rows],
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
