"""What a simulated pace comes to: mean interval, how soon it is back, whether it swings."""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence

from edgenode.sim.difficulty import Made, Miner


def hashing_seconds(miners: Sequence[Miner], begin: float, end: float) -> float:
    """Seconds between two moments in which at least one of the miners hashed."""
    factors = [1.0] * len(miners)
    changes = sorted((at, i, f) for i, m in enumerate(miners) for at, f in m.changes)
    total, since = 0.0, 0.0
    for at, index, factor in [*changes, (math.inf, 0, 0.0)]:
        if any(m.hash_rate * f > 0 for m, f in zip(miners, factors, strict=True)):
            total += max(0.0, min(at, end) - max(since, begin))
        since = at
        factors[index] = factor
    return total


def mean_interval(
    blocks: Sequence[Made], miners: Sequence[Miner], begin: float, end: float
) -> float:
    """Seconds of hashing for each block found between two moments; infinite if there is none."""
    count = len(list(between(blocks, begin, end)))
    return hashing_seconds(miners, begin, end) / count if count else math.inf


def between(blocks: Sequence[Made], begin: float, end: float) -> Iterator[Made]:
    """The blocks found from one moment up to another."""
    return (block for block in blocks if begin <= block.at < end)


def back_after(
    blocks: Sequence[Made], begin: float, end: float, fits: Callable[[float], bool]
) -> tuple[int, float] | None:
    """After how many blocks since `begin`, and seconds, the pace fits for good.

    The pace is the mean time that a block takes at its target, so that luck does not count; for
    good means up to `end`. None if the last block before `end` does not fit, or there is no block.
    """
    after = list(between(blocks, begin, end))
    count = max((i + 1 for i, block in enumerate(after) if not fits(block.expected)), default=0)
    return (count, after[count].at - begin) if count < len(after) else None


def spread(blocks: Sequence[Made], begin: float, end: float, spacing: float) -> float:
    """How far the pace strays: deviation of log2(expected / spacing), in doublings."""
    strays = [math.log2(block.expected / spacing) for block in between(blocks, begin, end)]
    return statistics.pstdev(strays) if strays else 0.0
