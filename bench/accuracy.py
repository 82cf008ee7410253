"""Accuracy on people that no box has seen: federated, each box alone, and all data in one place.

    python -m bench.accuracy                      # all five splits
    python -m bench.accuracy --splits 9,10        # one: people 9 and 10 held out
    python -m bench.accuracy --rounds 28 --steps 80 --rate 0.01 --json

Eight people are with four boxes, two with each; the other two are held out for testing. Windows
arrive over the first two thirds of the rounds. In each round each box trains from the shared
parameters; their aggregate (FedAvg in fixed point, as in a block) begins the next round. `alone`
is the same without the mean; `central` trains on all boxes' windows with four times the steps, so
that as many steps are taken in all. No network, no ledger: the learning alone, by the node's code.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import numpy as np

from datasets.recordings import PEOPLE, Series, load
from datasets.replay import in_turns, windows_of
from demo.learner import HeldOutPeople, Learner
from edgenode.learning.aggregation import DISCOUNT_ONE, WeightedUpdate, fedavg
from edgenode.learning.fixed_point import Fixed, to_fixed, to_float
from edgenode.learning.update_codec import difference
from edgenode.tasks.registry import find_task
from edgenode.tasks.task import FRACTION_BITS, Schedule, Task
from edgenode.training.graph import Floats, Graph
from edgenode.training.interpreter import load_graph
from edgenode.training.local import evaluate

PAIRS = tuple((person, person + 1) for person in range(1, PEOPLE, 2))


def aggregated(current: Fixed, results: list[tuple[Floats, int]]) -> Fixed:
    """The next round's parameters, by the node's own arithmetic."""
    return fedavg(
        current,
        [
            WeightedUpdate(difference(to_fixed(p, FRACTION_BITS), current), examples * DISCOUNT_ONE)
            for p, examples in results
        ],
    )


@dataclasses.dataclass(slots=True)
class Outcome:
    """Accuracy on the held-out people by round, of each way of learning."""

    people: tuple[int, int]
    federated: list[float] = dataclasses.field(default_factory=list)
    central: list[float] = dataclasses.field(default_factory=list)
    alone: list[list[float]] = dataclasses.field(default_factory=list)
    own: list[float | None] = dataclasses.field(default_factory=list)
    examples: int = 0
    tested: int = 0
    cpu_seconds: float = 0.0


def run_split(  # noqa: PLR0917
    graph: Graph,
    task: Task,
    recordings: list[Series],
    options: argparse.Namespace,
    schedule: Schedule,
    held_out: tuple[int, int],
) -> Outcome:
    """All ways of learning, with one pair of people held out."""
    streams = {
        pair: list(windows_of(in_turns(recordings, pair), stream))
        for stream, pair in enumerate(PAIRS)
        if pair != held_out
    }
    test = HeldOutPeople(graph, in_turns(recordings, held_out))
    genesis = task.genesis_parameters()
    initial = to_float(genesis, FRACTION_BITS)
    outcome = Outcome(held_out, tested=len(test), alone=[[] for _ in streams])

    def boxes() -> list[Learner]:
        return [
            Learner(task, windows, options.capacity, options.seed * 100 + n)
            for n, windows in enumerate(streams.values())
        ]

    shares = [min(1.0, (r + 1) / (options.rounds * 2 / 3)) for r in range(options.rounds)]
    if "federated" in options.ways:
        fleet, shared = boxes(), genesis
        for share in shares:
            for box in fleet:
                box.collect(share)
            parameters = to_float(shared, FRACTION_BITS)
            shared = aggregated(shared, [box.train(graph, parameters, schedule) for box in fleet])
            outcome.federated.append(test.accuracy(to_float(shared, FRACTION_BITS)))
        parameters = to_float(shared, FRACTION_BITS)
        outcome.cpu_seconds = max(float(np.mean(box.cpu)) for box in fleet)
        outcome.examples = sum(len(box.memory.training) for box in fleet)
        outcome.own = [
            evaluate(graph, parameters, box.memory.held_out.content()).overall for box in fleet
        ]
    if "alone" in options.ways:
        for n, box in enumerate(boxes()):
            parameters = initial
            for share in shares:
                box.collect(share)
                parameters, _ = box.train(graph, parameters, schedule)
                outcome.alone[n].append(test.accuracy(parameters))
    if "central" in options.ways:
        # All boxes' windows, in the order in which they arrive.
        fleet = boxes()
        together = Learner(task, [], options.capacity * len(fleet), options.seed * 100 + 99)
        fourfold = dataclasses.replace(schedule, steps=schedule.steps * len(fleet))
        parameters = initial
        for box in fleet:
            box.memory = together.memory
        for share in shares:
            for box in fleet:
                box.collect(share)
            parameters, _ = together.train(graph, parameters, fourfold)
            outcome.central.append(test.accuracy(parameters))
    return outcome


def percent(values: list[float]) -> str:
    """The last accuracy of a list, in percent."""
    return f"{100 * values[-1]:5.1f}" if values else "    -"


HEADING = "held out   federated  alone: mean (each)                    central   CPU s/round"


def row(outcome: Outcome) -> str:
    """A split's row of the table: accuracies after the last round."""
    last: list[float] = [100 * box[-1] for box in outcome.alone if box]
    each = " ".join(f"{value:.1f}" for value in last)
    alone = f"{np.mean(last):5.1f} ({each})" if last else "    -"
    return (
        f"{outcome.people[0]:2} and {outcome.people[1]:2}   {percent(outcome.federated)}     "
        f"{alone:37} {percent(outcome.central)}   {outcome.cpu_seconds:.2f}"
    )


def mean_row(outcomes: list[Outcome]) -> str:
    """The table's last row: means over the splits."""

    def mean(values: list[list[float]]) -> str:
        return f"{100 * np.mean([v[-1] for v in values]):5.1f}" if all(values) else "    -"

    alone = [box for outcome in outcomes for box in outcome.alone]
    return (
        f"mean        {mean([o.federated for o in outcomes])}     {mean(alone):37} "
        f"{mean([o.central for o in outcomes])}"
    )


def main() -> int:
    """Run the splits and print the table; returns the exit status."""
    task = find_task("activity")
    default = task.schedule
    parser = argparse.ArgumentParser(prog="python -m bench.accuracy", description=__doc__)
    parser.add_argument("--recordings", type=Path, default=Path("var/recordings.npz"))
    parser.add_argument("--splits", nargs="*", default=[f"{a},{b}" for a, b in PAIRS])
    parser.add_argument("--ways", nargs="*", default=["federated", "alone", "central"])
    parser.add_argument("--rounds", type=int, default=28)
    parser.add_argument("--steps", type=int, default=default.steps)
    parser.add_argument("--rate", type=float, default=default.learning_rate)
    parser.add_argument("--momentum", type=float, default=default.momentum_factor)
    parser.add_argument("--capacity", type=int, default=2048, help="places in a box's reservoir")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runtime", default="tflite")
    parser.add_argument("--plain", action="store_true", help="no augmentation")
    parser.add_argument("--json", action="store_true", help="one document with every round")
    options = parser.parse_args()
    graph = load_graph(task.model_file(options.runtime), options.runtime)
    if options.plain:
        task = dataclasses.replace(task, augment=None)
    schedule = dataclasses.replace(
        default,
        steps=options.steps,
        learning_rate=options.rate,
        momentum_factor=options.momentum,
    )
    recordings = load(options.recordings)
    outcomes = []
    if not options.json:
        print(HEADING)
    for split in options.splits:
        first, second = (int(person) for person in split.split(","))
        if (first, second) not in PAIRS:
            parser.error(f"--splits {split}: the pairs are {PAIRS}")
        outcome = run_split(graph, task, recordings, options, schedule, (first, second))
        outcomes.append(outcome)
        if not options.json:
            print(row(outcome), flush=True)
    if options.json:
        print(json.dumps([dataclasses.asdict(outcome) for outcome in outcomes]))
    else:
        print(mean_row(outcomes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
