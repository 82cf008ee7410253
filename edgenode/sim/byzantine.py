"""Random trouble by seed: a ward of twenty, a fifth of it dishonest, checked at every step.

    python -m edgenode.sim.byzantine --seeds 0:1000
    python -m edgenode.sim.byzantine --seed 17 --verbose
    python -m edgenode.sim.byzantine --long --seeds 0:20

A seed decides everything, also from process to process. Faults stop after a while; the honest must
then come to one head and make something final that is new.
"""

import argparse
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from edgenode.sim.long_trouble import LongTrouble
from edgenode.sim.reference import Violation
from edgenode.sim.trouble import Trouble

COMMAND = "python -m edgenode.sim.byzantine"

PROGRESS = 10
"""Seeds after which a command that runs many says how far it is: half a minute or so."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a seed ended; `fault` is None if nothing was violated."""

    seed: int
    fault: str | None
    height: int
    final: int
    reorganisations: int
    crashes: int
    joins: int
    delivered: int
    seconds: float
    """Of the ward's time."""


def run_seed(
    seed: int,
    note: Callable[[float, str], None] | None = None,
    kind: type[Trouble] = Trouble,
) -> Outcome:
    """Run one seed; `note` is told what happens, with the time in seconds."""
    trouble = kind(seed)
    ward = trouble.ward
    if note is not None:
        ward.note = lambda text: note(ward.now, text)
        for index, behaviours in sorted(ward.behaviours.items()):
            names = ", ".join(type(behaviour).__name__ for behaviour in behaviours)
            ward.note(f"box {index} is dishonest: {names}")
    fault = None
    try:
        trouble.run()
    except Violation as violation:
        fault = str(violation)
    except Exception as error:  # noqa: BLE001  (whatever honest code raises is what is looked for)
        fault = f"{type(error).__name__}: {error}"
        if note is not None:
            ward.note(traceback.format_exc())
    watch = ward.watch
    assert watch is not None, "it is there once the ward is"
    return Outcome(
        seed=seed,
        fault=fault,
        height=max(b.running.chain.head.height for b in ward.on()),
        final=watch.final.height,
        reorganisations=watch.reorganisations,
        crashes=trouble.crashes,
        joins=ward.joins,
        delivered=ward.delivered,
        seconds=ward.now,
    )


def main(arguments: list[str] | None = None) -> int:
    """The command; returns the exit status: 1 if a seed violated an invariant, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog=COMMAND, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--seeds", type=_range, metavar="FIRST:END", help="run these seeds, END not among them"
    )
    which.add_argument("--seed", type=int, help="run one seed")
    parser.add_argument(
        "--long", action="store_true", help="a thousand blocks: boxes forget, and join anew"
    )
    parser.add_argument("--verbose", action="store_true", help="tell what happens")
    chosen = parser.parse_args(arguments)
    seeds = range(chosen.seed, chosen.seed + 1) if chosen.seeds is None else chosen.seeds
    kind, flag = (LongTrouble, "--long ") if chosen.long else (Trouble, "")
    tally = Tally()
    try:
        for seed in seeds:
            outcome = run_seed(seed, _tell if chosen.verbose else None, kind)
            tally.add(outcome)
            if outcome.fault is not None:
                _say(f"seed {seed} FAILED at {outcome.seconds:.3f} s: {outcome.fault}")
                _say(f"  replay it: {COMMAND} {flag}--seed {seed} --verbose")
            elif chosen.verbose or len(seeds) == 1:
                _say(f"seed {seed}: final {outcome.final} of {outcome.height}")
            if not tally.seeds % PROGRESS and tally.seeds < len(seeds):
                _say(f"{tally.seeds} of {len(seeds)} seeds, {len(tally.failed)} failed")
    except KeyboardInterrupt:
        _say(f"stopped; the next seed is {seeds[tally.seeds]}")
        return 130
    finally:
        _say(str(tally))
    return 1 if tally.failed else 0


class Tally:
    """What several seeds came to."""

    def __init__(self) -> None:
        self.seeds = 0
        self.failed: list[int] = []
        self._sums: Counter[str] = Counter()

    def add(self, outcome: Outcome) -> None:
        """A seed has ended."""
        self.seeds += 1
        if outcome.fault is not None:
            self.failed.append(outcome.seed)
        for name in ("height", "final", "reorganisations", "crashes", "joins"):
            self._sums[name] += getattr(outcome, name)

    def __str__(self) -> str:
        sums = "".join(f", {name} {count}" for name, count in self._sums.items())
        which = "".join(f" {seed}" for seed in self.failed)
        return f"seeds {self.seeds}, failed {len(self.failed)}{which and ':' + which}{sums}"


def _range(text: str) -> range:
    first, _, end = text.partition(":")
    seeds = range(int(first), int(end)) if first.isdigit() and end.isdigit() else range(0)
    if not seeds:
        raise argparse.ArgumentTypeError(f"{text!r} is not FIRST:END with FIRST below END")
    return seeds


def _tell(now: float, text: str) -> None:
    _say(f"{now:9.3f} {text}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
