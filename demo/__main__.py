"""Four bedside boxes on one machine: they sense, train, mine and agree.

make demo          (or: python -m demo --help)
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from datasets.recordings import RecordingsError, load
from datasets.replay import in_turns
from demo.baselines import Row
from demo.learner import HeldOutPeople
from demo.observer import await_agreement, look
from demo.report import Report, draw, print_report, shared_by_block
from demo.view import View, choose_view
from demo.ward import Ward, WardError, WardPlan
from edgenode.api.client import ApiError, NodeUnavailableError
from edgenode.tasks.registry import find_task
from edgenode.training.interpreter import load_graph

PEOPLE = ((1, 2), (3, 4), (5, 6), (7, 8))
HELD_OUT = (9, 10)
LIFE_SECONDS = 1050
"""Length of two people's recordings, in seconds of life."""

LONGEST_RUN = 210.0
"""Seconds of mining after which the demo ends with what it has."""

AGREEMENT_PATIENCE = 30.0
BASELINE_PATIENCE = 75.0


def main() -> int:
    """Run the demo; the exit status is 0 if all nodes agree in the end."""
    options = _options()
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options.out.mkdir(parents=True, exist_ok=True)
    # Unix sockets want short paths, and a checkout may lie deep.
    directory = Path(tempfile.mkdtemp(prefix="edgenode-demo-"))
    speed = options.speed or LIFE_SECONDS / (options.blocks * options.spacing * 2 / 3)
    plan = WardPlan(
        directory=directory,
        people=PEOPLE,
        recordings=options.recordings,
        speed=speed,
        spacing=options.spacing,
    )
    agreed = False
    try:
        report = _run(plan, options)
        agreed = report.agreement.holds
        if options.json:
            sys.stdout.write(json.dumps(_document(report, speed)) + "\n")
        else:
            print_report(report, Console())
    except (WardError, RecordingsError, NodeUnavailableError, ApiError) as error:
        sys.stderr.write(f"demo: {error}\n")
    except KeyboardInterrupt:
        sys.stderr.write("demo: interrupted\n")
    finally:
        if agreed and not options.keep:
            shutil.rmtree(directory)
        else:
            sys.stderr.write(f"the ward's files and logs are kept in {directory}\n")
    return 0 if agreed else 1


def _run(plan: WardPlan, options: argparse.Namespace) -> Report:
    test = HeldOutPeople(
        load_graph(find_task("activity").model_file("tflite")),
        in_turns(load(options.recordings), HELD_OUT),
    )
    view = choose_view(options.blocks, json=options.json)
    with _running(Ward(plan)) as ward, _Baselines(options) as baselines:
        with view:
            view.say(f"four boxes, recordings played at {plan.speed:.1f} times life")
            _watch(ward, view, options.blocks)
            view.say("the miners stop; do the nodes agree?")
            ward.supervisor.stop([box.unit_name("miner") for box in ward.boxes])
            agreement = await_agreement(ward.boxes, AGREEMENT_PATIENCE)
            view.say("measuring the shared model at every block")
            box = ward.boxes[0]
            shared = shared_by_block(box, box.client.head().height, test)
            sent = {}
            for each in ward.boxes:
                traffic = each.client.status().traffic
                sent[each.name] = traffic.sync.bytes_sent + traffic.broadcast.bytes_sent
            view.say("waiting for the baselines")
            ward.close()
            rows = baselines.finish(BASELINE_PATIENCE)
        report = Report(
            shared=shared,
            baselines=rows,
            held_out_people=HELD_OUT,
            held_out_windows=len(test),
            spacing=plan.spacing,
            bytes_sent=sent,
            agreement=agreement,
            plot=str(options.out / "demo.png"),
        )
    draw(report, Path(report.plot))
    (options.out / "demo.json").write_text(json.dumps(_document(report, plan.speed), indent=1))
    return report


def _watch(ward: Ward, view: View, blocks: int) -> None:
    """Show the ward until the last block is mined or the time is up."""
    limit = time.monotonic() + LONGEST_RUN
    while time.monotonic() < limit:
        sights = [look(box) for box in ward.boxes]
        height = min((s.height or 0) for s in sights)
        view.show(sights, min(height, blocks))
        if failures := ward.supervisor.failures():
            raise WardError("; ".join(failures))
        if height >= blocks:
            return
        time.sleep(1.0)


@contextlib.contextmanager
def _running(ward: Ward) -> Iterator[Ward]:
    try:
        ward.start()
        yield ward
    finally:
        ward.close()


class _Baselines:
    """The baselines in a process of their own, which yields to the ward."""

    def __init__(self, options: argparse.Namespace) -> None:
        command = [sys.executable, "-m", "demo.baselines", "--test", ",".join(map(str, HELD_OUT))]
        command += ["--recordings", str(options.recordings), "--rounds", str(options.blocks)]
        for people in PEOPLE:
            command += ["--box", ",".join(map(str, people))]
        self._command = command

    def __enter__(self) -> _Baselines:
        self._output = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        return self

    def finish(self, seconds: float) -> list[Row]:
        """The rounds that are done by then."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self._output.seek(0)
        lines = [line for line in self._output if line.endswith("\n")]
        return [
            Row(row["round"], tuple(row["alone"]), row["central"]) for row in map(json.loads, lines)
        ]

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._output.close()


def _document(report: Report, speed: float) -> dict[str, object]:
    return {
        "speed": speed,
        **dataclasses.asdict(report),
        "agree": report.agreement.holds,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m demo", description="Four bedside boxes on one machine."
    )
    parser.add_argument("--recordings", type=Path, default=Path("var/recordings.npz"))
    parser.add_argument("--blocks", type=int, default=28, help="blocks to mine (default 28)")
    parser.add_argument("--spacing", type=int, default=6, help="seconds between blocks (default 6)")
    parser.add_argument(
        "--speed",
        type=float,
        help="times life at which the recordings are played (default: over two thirds of the run)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document, no more")
    parser.add_argument("--out", type=Path, default=Path("var/demo"), help="where the plot goes")
    parser.add_argument("--keep", action="store_true", help="keep the ward's files and logs")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
