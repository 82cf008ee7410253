"""Four bedside boxes on one machine: they sense, train, mine and agree.

make demo          (or: python -m demo --help)
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from datasets.recordings import RecordingsError, load
from datasets.replay import in_turns
from demo.baselines_process import BaselinesProcess
from demo.conclusion import conclude
from demo.interruption import interruptible, undisturbed
from demo.learner import HeldOutPeople
from demo.observer import Agreement, Observer, await_agreement
from demo.options import read_options
from demo.report import Report, shared_by_block
from demo.view import View, choose_view
from demo.ward import Ward, WardError, WardPlan
from edgenode.api.client import ApiError, NodeUnavailableError
from edgenode.ledger.genesis import GenesisError
from edgenode.tasks.registry import find_task
from edgenode.training.interpreter import load_graph

PEOPLE: Sequence[Sequence[int]] = ((1, 2), (3, 4), (5, 6), (7, 8))
HELD_OUT = (9, 10)
LIFE_SECONDS = 1050
"""Length of two people's recordings, in seconds of life."""

TIE_PATIENCE = 45.0
"""Seconds; one miner of four finds a block in 24 on average."""

AGREEMENT_PATIENCE = 15.0
BASELINE_PATIENCE = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo; the exit status is 0 if there was no problem."""
    options = read_options(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    with interruptible():
        try:
            return _demonstrate(options)
        except (
            WardError,
            RecordingsError,
            GenesisError,
            NodeUnavailableError,
            ApiError,
            OSError,
        ) as error:
            sys.stderr.write(f"demo: {error}\n")
        except KeyboardInterrupt:
            sys.stderr.write("demo: interrupted\n")
    return 1


def longest_run(blocks: int, spacing: int) -> float:
    """Seconds of mining after which the demo ends with what it has.

    The difficulty holds the chain to its schedule, however long, within some blocks; the rest is
    for the start, and for a machine that turns out to be slower than it was measured.
    """
    return 25.0 + 1.1 * blocks * spacing


def _demonstrate(options: argparse.Namespace) -> int:
    test = HeldOutPeople(
        load_graph(find_task("activity").model_file("tflite")),
        in_turns(load(options.recordings), HELD_OUT),
    )
    # Unix sockets want short paths, and a checkout may lie deep.
    directory = Path(tempfile.mkdtemp(prefix="edgenode-demo-"))
    plan = WardPlan(
        directory=directory,
        people=PEOPLE,
        recordings=options.recordings,
        speed=options.speed or LIFE_SECONDS / (options.blocks * options.spacing * 2 / 3),
        spacing=options.spacing,
    )
    status = 1
    try:
        status = conclude(_run(plan, options, test), options.out, as_json=options.json)
    finally:
        if status == 0 and not options.keep:
            shutil.rmtree(directory)
        else:
            sys.stderr.write(f"the ward's files and logs are kept in {directory}\n")
    return status


def _run(plan: WardPlan, options: argparse.Namespace, test: HeldOutPeople) -> Report:
    view = choose_view(options.blocks, json=options.json)
    learning = BaselinesProcess(
        options.recordings,
        plan.people,
        HELD_OUT,
        options.blocks,
        plan.directory / "baselines.log",
    )
    with _running(Ward(plan)) as ward, learning, view:
        view.say(f"four boxes, recordings played at {plan.speed:.1f} times life")
        seconds = _watch(ward, view, options.blocks)
        view.say("the miners stop; do the nodes agree?")
        agreement = _settled(ward)
        failures = ward.failures()
        view.say("measuring the shared model at every block")
        box = ward.boxes[0]
        shared = shared_by_block(box, box.client.head().height, test)
        sent = {}
        for each in ward.boxes:
            traffic = each.client.status().traffic
            sent[each.name] = traffic.sync.bytes_sent + traffic.broadcast.bytes_sent
        view.say("waiting for the baselines")
        ward.close()
        baselines = learning.finish(BASELINE_PATIENCE)
    return Report(
        shared=shared,
        blocks=options.blocks,
        seconds=seconds,
        baselines=baselines,
        held_out_people=HELD_OUT,
        held_out_windows=len(test),
        spacing=plan.spacing,
        speed=plan.speed,
        bytes_sent=sent,
        restarts=ward.restarts(),
        agreement=agreement,
        failures=failures,
    )


def _watch(ward: Ward, view: View, blocks: int) -> float:
    """Show the ward until the last block is mined or the time is up; the seconds that took.

    Raises:
        WardError: something of the ward does not run.
    """
    began = time.monotonic()
    limit = longest_run(blocks, ward.plan.spacing)
    observer = Observer()
    played = False
    while (seconds := time.monotonic() - began) < limit:
        sights = [observer.look(box) for box in ward.boxes]
        height = min((s.height or 0) for s in sights)
        if not played and (played := ward.played()):
            view.say("recordings played to their end; training goes on")
        view.show(sights, min(height, blocks))
        if failures := ward.failures():
            raise WardError("; ".join(failures))
        if height >= blocks:
            break
        time.sleep(1.0)
    return seconds


def _settled(ward: Ward) -> Agreement:
    """Stop the miners and let the nodes agree.

    Two may have found the last block at the same time; of two tips with equal work each node keeps
    its first, until another block decides. So one miner goes on until the nodes agree.
    """
    last, *others = [box.unit_name("miner") for box in ward.boxes]
    ward.supervisor.stop(others)
    await_agreement(ward.boxes, TIE_PATIENCE)
    ward.supervisor.stop([last])
    return await_agreement(ward.boxes, AGREEMENT_PATIENCE)


@contextlib.contextmanager
def _running(ward: Ward) -> Iterator[Ward]:
    try:
        ward.start()
        yield ward
    finally:
        with undisturbed():
            ward.close()


if __name__ == "__main__":
    sys.exit(main())
