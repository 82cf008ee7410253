"""What the shared model is compared with: each box alone, and all data in one place.

    python -m demo.baselines --recordings var/recordings.npz --box 1,2 --box 3,4 --test 9,10

Both learn by the node's own code (reservoir, local rounds, graph), from the same recordings,
which arrive as evenly as in the demo. `alone` trains from its own last parameters; `central` has
the windows of all boxes and takes as many steps as all boxes together. After each round one JSON
line with the accuracies on the held-out people is printed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from datasets.recordings import load
from datasets.replay import in_turns, windows_of
from demo.learner import HeldOutPeople, Learner
from edgenode.learning.fixed_point import to_float
from edgenode.tasks.registry import find_task
from edgenode.tasks.task import FRACTION_BITS
from edgenode.training.interpreter import load_graph

CAPACITY = 4096


@dataclass(frozen=True, slots=True)
class Row:
    """Accuracies on the held-out people after one round."""

    round: int
    alone: tuple[float, ...]
    central: float


def main() -> int:
    """Train the baselines; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m demo.baselines", description=main.__doc__)
    parser.add_argument("--recordings", type=Path, required=True)
    parser.add_argument("--box", type=_people, action="append", required=True)
    parser.add_argument("--test", type=_people, required=True)
    parser.add_argument("--rounds", type=int, default=28)
    parser.add_argument("--arrival", type=float, default=2 / 3, help="share of the rounds")
    options = parser.parse_args()
    # The ward comes first, its miners too, which are as nice as can be.
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    task = find_task("activity")
    graph = load_graph(task.model_file("tflite"))
    recordings = load(options.recordings)
    test = HeldOutPeople(graph, in_turns(recordings, options.test))
    genesis = to_float(task.genesis_parameters(), FRACTION_BITS)

    def boxes() -> list[Learner]:
        return [
            Learner(task, list(windows_of(in_turns(recordings, people), n)), CAPACITY, n)
            for n, people in enumerate(options.box)
        ]

    fleet, sources = boxes(), boxes()
    together = Learner(task, [], CAPACITY * len(fleet), len(fleet))
    for source in sources:
        source.memory = together.memory
    many = dataclasses.replace(task.schedule, steps=task.schedule.steps * len(fleet))
    alone, central = [genesis] * len(fleet), genesis
    for number in range(1, options.rounds + 1):
        share = min(1.0, number / (options.rounds * options.arrival))
        for n, box in enumerate(fleet):
            box.collect(share)
            sources[n].collect(share)
            alone[n], _ = box.train(graph, alone[n], task.schedule)
        central, _ = together.train(graph, central, many)
        row = Row(number, tuple(test.accuracy(p) for p in alone), test.accuracy(central))
        sys.stdout.write(json.dumps(dataclasses.asdict(row)) + "\n")
        sys.stdout.flush()
    return 0


def _people(text: str) -> tuple[int, int]:
    first, second = (int(person) for person in text.split(","))
    return first, second


if __name__ == "__main__":
    sys.exit(main())
