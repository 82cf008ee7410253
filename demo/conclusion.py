"""How the demo ends: it tells its report, writes its files, and decides the exit status."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from demo.plot import draw
from demo.report import Report, print_report


def conclude(report: Report, folder: Path, *, as_json: bool) -> int:
    """Tell the report, then write plot and document; the exit status, 0 if there is no problem."""
    document = {
        **dataclasses.asdict(report),
        "agree": report.agreement.holds,
        "problems": report.problems,
    }
    if as_json:
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        print_report(report, Console())
    problems = report.problems
    text = json.dumps(document, indent=1)
    plot, figures = folder / "demo.png", folder / "demo.json"
    unwritten = _written(plot, lambda path: draw(report, path))
    unwritten += _written(figures, lambda path: path.write_text(text))
    if not (as_json or unwritten):
        sys.stdout.write(f"plot: {plot}, figures: {figures}\n")
    problems += unwritten
    for problem in problems:
        sys.stderr.write(f"demo: {problem}\n")
    return 1 if problems else 0


def _written(path: Path, write: Callable[[Path], object]) -> list[str]:
    """Write a file; why that was not possible, if it was not."""
    try:
        write(path)
    except OSError as error:
        return [f"{path} cannot be written: {error.strerror}"]
    return []
