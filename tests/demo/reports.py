"""A report of a good run, to spoil in one thing."""

import dataclasses
import io

from rich.console import Console

from demo.baselines import Row
from demo.baselines_process import Baselines
from demo.observer import Agreement
from demo.report import Report, SharedModel, print_report


def a_report(*, height=28, rounds=28, **changes):
    """A report of a ward that was to mine 28 blocks; block n has the accuracy n / 100."""
    good = Report(
        shared=[SharedModel(n, n, 4, 6, n / 100) for n in range(height + 1)],
        blocks=28,
        seconds=170.0,
        baselines=Baselines([Row(n, (n / 200, n / 400), n / 50) for n in range(1, rounds + 1)]),
        held_out_people=(9, 10),
        held_out_windows=500,
        spacing=6,
        speed=9.4,
        bytes_sent={"bed-1": 1_000_000},
        restarts={},
        agreement=Agreement({"bed-1": "aa", "bed-2": "aa"}, {"bed-1": "bb", "bed-2": "bb"}),
        failures=[],
    )
    return dataclasses.replace(good, **changes)


def printed(report):
    """What people read, each paragraph in one line."""
    console = Console(file=io.StringIO(), width=500)
    print_report(report, console)
    return console.file.getvalue()
