"""Client updates by each codec: bytes, and the accuracy of what is learnt from them.

    python -m bench.codecs                                     # recordings, one split, one seed
    python -m bench.codecs --splits 1,2 9,10 --seeds 1 2 3
    python -m bench.codecs --task images --seeds 1 2 3         # Debian's dataset-fashion-mnist
    python -m bench.codecs --codecs exact int4 --rounds 10

Four boxes train in rounds, each update coded and decoded by the node's code, with error feedback
where the codec is lossy. `recordings`: the activity model, as in bench.accuracy, measured on the
people held out. `images`: the paper's network (122,570 parameters) on Fashion-MNIST, 2,000 images a
box in a mix of classes of its own (Dirichlet, 0.5), measured on 2,000 others. Bytes are the mean
over all updates, and stand beside float32 and beside what zstd at level 19 makes of the same
numbers in as few whole bytes as they fit (where the program is installed). Accuracy is the mean of
the last five rounds, and its difference to that by `exact`, which loses nothing.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from bench.accuracy import PAIRS
from datasets import fashion_mnist
from datasets.recordings import load
from datasets.replay import in_turns, windows_of
from demo.learner import HeldOutPeople, Learner
from edgenode.learning.aggregation import DISCOUNT_ONE, WeightedUpdate, fedavg
from edgenode.learning.error_feedback import ErrorFeedback
from edgenode.learning.fixed_point import Fixed, to_fixed, to_float
from edgenode.learning.update_codec import Codec, decode, difference, unpack
from edgenode.tasks.cifar10 import normalise
from edgenode.tasks.registry import find_task
from edgenode.tasks.task import FRACTION_BITS, Task
from edgenode.training.graph import Floats, Graph
from edgenode.training.interpreter import load_graph
from edgenode.training.local import evaluate
from edgenode.training.reservoir import Examples

BOXES = 4

LAST = 5
"""Rounds whose accuracy is averaged: single rounds vary by several points."""

CAPACITY = 2048
"""Places in a box's reservoir."""

IMAGES, TESTED, CONCENTRATION = 2000, 2000, 0.5

FLOAT_BYTES = 4


class Fleet(Protocol):
    """Boxes with their data, and data to test on that none of them has."""

    def train(self, box: int, parameters: Floats, share: float) -> tuple[Floats, int]:
        """A local round of a box that has seen a share of its data: parameters and examples."""

    def accuracy(self, parameters: Floats) -> float:
        """Of a model with these parameters, on data that no box has."""


class People:
    """Boxes with the recordings of two people each, and two people held out."""

    def __init__(
        self, graph: Graph, task: Task, recordings: Path, held_out: tuple[int, int], seed: int
    ) -> None:
        """Give the people to the boxes."""
        series = load(recordings)
        pairs = [pair for pair in PAIRS if pair != held_out]
        self._graph, self._task = graph, task
        self._boxes = [
            Learner(task, list(windows_of(in_turns(series, pair), n)), CAPACITY, seed * 100 + n)
            for n, pair in enumerate(pairs)
        ]
        self._test = HeldOutPeople(graph, in_turns(series, held_out))

    def train(self, box: int, parameters: Floats, share: float) -> tuple[Floats, int]:
        """Let windows arrive, and train."""
        self._boxes[box].collect(share)
        return self._boxes[box].train(self._graph, parameters, self._task.schedule)

    def accuracy(self, parameters: Floats) -> float:
        """On the people held out."""
        return self._test.accuracy(parameters)


class Clothes:
    """Boxes with images, each with a mix of classes of its own."""

    def __init__(self, graph: Graph, task: Task, seed: int) -> None:
        """Give the images to the boxes."""
        data = fashion_mnist.load()
        rng = np.random.default_rng(seed)
        self._graph, self._task = graph, task
        self._boxes = [Learner(task, [], IMAGES, seed * 100 + n) for n in range(BOXES)]
        free = [list(np.flatnonzero(data.training.labels == c)) for c in range(task.classes)]
        for box in self._boxes:
            mix = rng.dirichlet(np.full(task.classes, CONCENTRATION))
            for label, count in enumerate(rng.multinomial(IMAGES, mix)):
                for _ in range(count):
                    place = free[label].pop(int(rng.integers(len(free[label]))))
                    box.memory.training.add(normalise(data.training.pixels[place]), label)
        chosen = rng.choice(len(data.test), TESTED, replace=False)
        self._test = Examples(normalise(data.test.pixels[chosen]), data.test.labels[chosen])

    def train(self, box: int, parameters: Floats, share: float) -> tuple[Floats, int]:
        """Train; all images are there from the start."""
        del share
        return self._boxes[box].train(self._graph, parameters, self._task.schedule)

    def accuracy(self, parameters: Floats) -> float:
        """On the images held out."""
        overall = evaluate(self._graph, parameters, self._test).overall
        assert overall is not None, "there are images"
        return overall


@dataclass(slots=True)
class Row:
    """What one codec came to, over all splits and seeds."""

    codec: str
    accuracy: list[float] = field(default_factory=list)
    payload: list[int] = field(default_factory=list)
    zstd: list[int] = field(default_factory=list)


def zstd_bytes(numbers: Fixed) -> int:
    """Bytes by zstd of numbers in as few whole bytes as they fit, bytes of one place together."""
    width = 1 if np.abs(numbers.astype(np.int64)).max(initial=0) < 128 else FLOAT_BYTES
    raw = numbers.astype("<i4").view(np.uint8).reshape(-1, FLOAT_BYTES)[:, :width].T.tobytes()
    run = subprocess.run(["zstd", "-19", "-c", "-q"], input=raw, capture_output=True, check=True)
    return len(run.stdout)


def learn(fleet: Fleet, shared: Fixed, codec: Codec, rounds: int, row: Row) -> None:
    """Rounds from genesis by one codec."""
    feedback = [ErrorFeedback(codec) for _ in range(BOXES)]
    has_zstd = shutil.which("zstd") is not None
    accuracy = []
    for number in range(rounds):
        base = number.to_bytes(4, "little")
        current = to_float(shared, FRACTION_BITS)
        updates = []
        for box, left_out in enumerate(feedback):
            # Data arrives over the first two thirds of the rounds.
            trained, examples = fleet.train(box, current, min(1.0, (number + 1) * 1.5 / rounds))
            payload = left_out.encode(base, difference(to_fixed(trained, FRACTION_BITS), shared))
            left_out.sent()
            row.payload.append(len(payload))
            if has_zstd:
                row.zstd.append(zstd_bytes(unpack(payload, len(shared), codec).numbers))
            said = decode(payload, len(shared), codec)
            updates.append(WeightedUpdate(said, examples * DISCOUNT_ONE))
        shared = fedavg(shared, updates)
        accuracy.append(fleet.accuracy(to_float(shared, FRACTION_BITS)))
    row.accuracy.append(float(np.mean(accuracy[-LAST:])))


def line(row: Row, whole: int, exact: Row | None) -> str:
    """A codec's row of the table."""
    mean = float(np.mean(row.payload))
    beside = f"{mean / np.mean(row.zstd):6.2f}" if row.zstd else "     -"
    off = ""
    if exact is not None:
        differences = 100 * (np.array(row.accuracy) - exact.accuracy)
        error = differences.std(ddof=1) / np.sqrt(len(differences)) if len(differences) > 1 else 0.0
        off = f"{differences.mean():+7.2f} ± {error:.2f}"
    return (
        f"{row.codec:8} {mean:9.0f} {FLOAT_BYTES * whole / mean:9.1f} {beside}  "
        f"{100 * np.mean(row.accuracy):9.2f}  {off}"
    )


def fleets(options: argparse.Namespace, graph: Graph, task: Task) -> Iterator[Fleet]:
    """The wards that each codec is tried on."""
    for seed in options.seeds:
        if options.task == "images":
            yield Clothes(graph, task, seed)
            continue
        for split in options.splits:
            first, second = map(int, split.split(","))
            yield People(graph, task, options.recordings, (first, second), seed)


def main(arguments: Iterable[str] | None = None) -> int:
    """Run the codecs and print the table; returns the exit status."""
    names = [codec.name.lower() for codec in Codec if codec is not Codec.INT32]
    parser = argparse.ArgumentParser(
        prog="python -m bench.codecs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--task", choices=["recordings", "images"], default="recordings")
    parser.add_argument("--recordings", type=Path, default=Path("var/recordings.npz"))
    parser.add_argument("--codecs", nargs="*", default=names, choices=names)
    parser.add_argument("--splits", nargs="*", default=["9,10"],
                        choices=[f"{a},{b}" for a, b in PAIRS])  # fmt: skip
    parser.add_argument("--seeds", nargs="*", type=int, default=[1])
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args(None if arguments is None else list(arguments))
    task = find_task("cifar10" if options.task == "images" else "activity")
    graph = load_graph(task.model_file("tflite"), "tflite")
    genesis = task.genesis_parameters()
    print(f"{options.task}: {len(genesis)} parameters, {options.rounds} rounds, "
          f"seeds {' '.join(map(str, options.seeds))}")  # fmt: skip
    print("codec        bytes to float32  to zstd  accuracy %  to exact, and its standard error")
    exact: Row | None = None
    for name in options.codecs:
        row = Row(name)
        for fleet in fleets(options, graph, task):
            learn(fleet, genesis, Codec[name.upper()], options.rounds, row)
        print(line(row, len(genesis), exact), flush=True)
        exact = row if name == "exact" else exact
    return 0


if __name__ == "__main__":
    sys.exit(main())
