"""Client updates by each codec: bytes, and the accuracy of what is learnt from them.

    python -m bench.codecs                                 # one split, one seed
    python -m bench.codecs --splits 1,2 5,6 9,10 --seeds 1 2 3 --rounds 30
    python -m bench.codecs --codecs exact int4 --json

Four boxes train the activity model in rounds, as in bench.accuracy, each update coded and decoded
by the node's code, with error feedback where the codec is lossy. Bytes are the mean over all
updates and stand beside float32, and beside what zstd at level 19 makes of the same numbers in as
few whole bytes as they fit (where the program is installed). Accuracy is on the held-out people,
the mean of the last five rounds, and its difference to that by `exact`, which loses nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from bench.accuracy import PAIRS
from datasets.recordings import Series, load
from datasets.replay import in_turns, windows_of
from demo.learner import HeldOutPeople, Learner
from edgenode.learning.aggregation import DISCOUNT_ONE, WeightedUpdate, fedavg
from edgenode.learning.error_feedback import ErrorFeedback
from edgenode.learning.fixed_point import Fixed, to_fixed, to_float
from edgenode.learning.update_codec import Codec, decode, difference, unpack
from edgenode.tasks.registry import find_task
from edgenode.tasks.task import FRACTION_BITS
from edgenode.training.graph import Graph
from edgenode.training.interpreter import load_graph

LAST = 5
"""Rounds whose accuracy is averaged: single rounds vary by several points."""

CAPACITY = 2048
"""Places in a box's reservoir."""

FLOAT_BYTES = 4


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


def run(  # noqa: PLR0917
    graph: Graph,
    recordings: list[Series],
    codec: Codec,
    held_out: tuple[int, int],
    seed: int,
    rounds: int,
    row: Row,
) -> None:
    """One split and seed by one codec."""
    task = find_task("activity")
    pairs = [pair for pair in PAIRS if pair != held_out]
    fleet = [
        Learner(task, list(windows_of(in_turns(recordings, pair), n)), CAPACITY, seed * 100 + n)
        for n, pair in enumerate(pairs)
    ]
    test = HeldOutPeople(graph, in_turns(recordings, held_out))
    shared = task.genesis_parameters()
    feedback = [ErrorFeedback(codec) for _ in fleet]
    accuracy = []
    for number in range(rounds):
        base = number.to_bytes(4, "little")
        updates = []
        for box, left_out in zip(fleet, feedback, strict=True):
            box.collect(min(1.0, (number + 1) / (rounds * 2 / 3)))
            parameters, examples = box.train(graph, to_float(shared, FRACTION_BITS), task.schedule)
            delta = difference(to_fixed(parameters, FRACTION_BITS), shared)
            payload = left_out.encode(base, delta)
            left_out.sent()
            row.payload.append(len(payload))
            if shutil.which("zstd") and codec is not Codec.INT32:
                row.zstd.append(zstd_bytes(unpack(payload, len(shared), codec).numbers))
            said = decode(payload, len(shared), codec)
            updates.append(WeightedUpdate(said, examples * DISCOUNT_ONE))
        shared = fedavg(shared, updates)
        accuracy.append(test.accuracy(to_float(shared, FRACTION_BITS)))
    row.accuracy.append(float(np.mean(accuracy[-LAST:])))


def line(row: Row, whole: int, exact: float | None) -> str:
    """A codec's row of the table."""
    mean = float(np.mean(row.payload))
    beside = f"{mean / np.mean(row.zstd):6.2f}" if row.zstd else "     -"
    accuracy = 100 * np.mean(row.accuracy)
    off = "" if exact is None else f"{accuracy - 100 * exact:+7.1f}"
    return (
        f"{row.codec:8} {mean:9.0f} {FLOAT_BYTES * whole / mean:9.1f} {beside} "
        f"{accuracy:9.1f} {off}"
    )


def main(arguments: Iterable[str] | None = None) -> int:
    """Run the codecs and print the table; returns the exit status."""
    names = [codec.name.lower() for codec in Codec if codec is not Codec.INT32]
    parser = argparse.ArgumentParser(prog="python -m bench.codecs", description=__doc__)
    parser.add_argument("--recordings", type=Path, default=Path("var/recordings.npz"))
    parser.add_argument("--codecs", nargs="*", default=names, choices=names)
    parser.add_argument("--splits", nargs="*", default=["9,10"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[1])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(None if arguments is None else list(arguments))
    named = {f"{first},{second}": (first, second) for first, second in PAIRS}
    if wrong := [split for split in options.splits if split not in named]:
        parser.error(f"--splits {' '.join(wrong)}: there are {' '.join(named)}")
    splits = [named[split] for split in options.splits]
    task = find_task("activity")
    graph = load_graph(task.model_file("tflite"), "tflite")
    recordings = load(options.recordings)
    whole = len(task.genesis_parameters())
    rows: list[Row] = []
    if not options.json:
        print(f"{whole} parameters, {options.rounds} rounds, splits {options.splits}, "
              f"seeds {options.seeds}")  # fmt: skip
        print("codec        bytes to float32  to zstd  accuracy %  to exact")
    for name in options.codecs:
        row = Row(name)
        for held_out in splits:
            for seed in options.seeds:
                run(graph, recordings, Codec[name.upper()], held_out, seed, options.rounds, row)
        rows.append(row)
        exact = next((float(np.mean(r.accuracy)) for r in rows if r.codec == "exact"), None)
        if not options.json:
            print(line(row, whole, exact), flush=True)
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
