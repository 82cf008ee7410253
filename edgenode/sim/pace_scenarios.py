"""The scenarios of docs/difficulty.md: wards whose hash rate changes or whose times are forged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from edgenode.ledger.genesis import Genesis
from edgenode.sim.difficulty import (
    LEDGER,
    MEDIAN_ONLY,
    Made,
    Miner,
    Pace,
    Rest,
    Rules,
    Stamp,
)
from edgenode.sim.pace_figures import back_after, between, mean_interval, spread

HOUR = 3600.0
DAY = 24 * HOUR
BOX = 100_000.0
"""Hashes per second of a box, half of what a Pi 4 makes of a fifth of a core. Ten of them are the
million of a new ward (`edgenode.cli.new_genesis`)."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A ward and what happens to it.

    Attributes:
        name: Short name.
        text: What happens, one sentence.
        miners: Who mines.
        days: How long it is simulated.
        settled: Day from which the mean interval is measured.
        step: Day on which the hash rate changes for good; None where it does not.
        spacing: The ward's spacing, seconds.
        future_bound: The ward's future bound, seconds; None for that of a new ward.
        min_spacing: Seconds that miners rest after their head.
        rest: From when on they rest.
        rules: What blocks are held to.
    """

    name: str
    text: str
    miners: tuple[Miner, ...]
    days: float = 10
    settled: float = 1
    step: float | None = None
    spacing: int = 90
    future_bound: int | None = None
    min_spacing: float = 0
    rest: Rest = Rest.SEEN
    rules: Rules = LEDGER


@dataclass(frozen=True, slots=True)
class Played:
    """What became of a scenario.

    Attributes:
        blocks: The final chain, genesis left out.
        mean: Seconds of hashing for each block, from the day `settled` on.
        not_slow: After how many blocks since the step, and seconds, a block takes at most twice the
            spacing on average at its target, for good; None where that did not come.
        not_quick: The same for at least half the spacing.
        beside: Fraction of all blocks found that are not in the chain.
        spreads: How far the pace strays in the first and the second half of what is measured,
            doublings.
        longest: The longest time that a block takes on average at its target, in what is measured.
    """

    blocks: Sequence[Made]
    mean: float
    not_slow: tuple[int, float] | None
    not_quick: tuple[int, float] | None
    beside: float
    spreads: tuple[float, float]
    longest: float


def play(scenario: Scenario, found: Callable[[int], Genesis], seed: int) -> Played:
    """Simulate a scenario.

    Args:
        scenario: What to simulate.
        found: Makes the constants of a ward of this spacing, seconds.
        seed: Decides all that is random.
    """
    genesis = found(scenario.spacing)
    if scenario.future_bound is not None:
        bound = scenario.future_bound
        genesis = replace(genesis, future_bound=bound, share_rest=bound + 1)
    pace = Pace(
        genesis,
        scenario.miners,
        seed,
        rules=scenario.rules,
        min_spacing=scenario.min_spacing,
        rest=scenario.rest,
    )
    end, begin = scenario.days * DAY, scenario.settled * DAY
    blocks = pace.run(end)
    middle = (begin + end) / 2

    def since_step(fits: Callable[[float], bool]) -> tuple[int, float] | None:
        if scenario.step is None:
            return None
        return back_after(blocks, scenario.step * DAY, end, fits)

    return Played(
        blocks=blocks,
        mean=mean_interval(blocks, scenario.miners, begin, end),
        not_slow=since_step(lambda seconds: seconds <= 2 * scenario.spacing),
        not_quick=since_step(lambda seconds: seconds >= scenario.spacing / 2),
        beside=1 - len(blocks) / pace.found if pace.found else 0.0,
        spreads=(
            spread(blocks, begin, middle, scenario.spacing),
            spread(blocks, middle, end, scenario.spacing),
        ),
        longest=max((block.expected for block in between(blocks, begin, end)), default=0.0),
    )


def _boxes(count: int, changes: tuple[tuple[float, float], ...] = ()) -> tuple[Miner, ...]:
    return (Miner(BOX, changes),) * count


def _forged(
    stamp: Stamp, count: int, rate: float = BOX, changes: tuple[tuple[float, float], ...] = ()
) -> tuple[Miner, ...]:
    """Ten boxes, of which the first ones forge; the others' clocks are some seconds off."""
    honest = (Miner(rate, changes, offset=-2 + 4 * i / (9 - count)) for i in range(10 - count))
    return ((Miner(rate, changes, stamp),) * count) + tuple(honest)


def _daily(days: int, on: float, off: float) -> tuple[tuple[float, float], ...]:
    """On from one hour of each day to another."""
    hours = ((0.0, 0.0), (on, 1.0), (off, 0.0))
    return tuple((day * DAY + hour * HOUR, f) for day in range(days) for hour, f in hours)


def _scenarios() -> Iterator[Scenario]:
    yield Scenario("steady", "Ten boxes, nothing happens.", _boxes(10), days=20)
    yield Scenario(
        "hundredfold", "On day 2 all boxes hash a hundred times as fast.",
        _boxes(10, ((2 * DAY, 100.0),)), step=2, settled=3,
    )  # fmt: skip
    yield Scenario(
        "hundredth", "On day 2 all boxes hash at a hundredth of their rate.",
        _boxes(10, ((2 * DAY, 0.01),)), step=2, settled=4,
    )  # fmt: skip
    yield Scenario(
        "leaving", "On day 2 nine of ten boxes leave.",
        _boxes(1) + _boxes(9, ((2 * DAY, 0.0),)), step=2, settled=3,
    )  # fmt: skip
    yield Scenario(
        "office hours",
        "Two boxes always, and eight PCs of ten times their rate from 8 to 18 h: 41 times as much.",
        _boxes(2) + (Miner(10 * BOX, _daily(14, 8, 18)),) * 8, days=14, settled=2,
    )  # fmt: skip
    yield Scenario(
        "ahead", "Three of ten stamp as far ahead as the future bound lets them.",
        _forged(Stamp.AHEAD, 3), days=20,
    )  # fmt: skip
    yield Scenario(
        "old", "Three of ten stamp as old as the median lets them.",
        _forged(Stamp.OLD, 3), days=20,
    )  # fmt: skip
    yield Scenario(
        "rest", "Ten boxes that rest 45 s after each head.", _boxes(10), days=20, min_spacing=45
    )
    yield Scenario(
        "rest, ahead", "The same, and three of them stamp as far ahead as they can.",
        _forged(Stamp.AHEAD, 3), days=20, min_spacing=45,
    )  # fmt: skip
    yield Scenario(
        "rest, old", "The same, and three of them stamp as old as they can.",
        _forged(Stamp.OLD, 3), days=20, min_spacing=45,
    )  # fmt: skip
    yield Scenario(
        "rest, hundredth", "Boxes that rest 45 s; on day 2 all hash at a hundredth of their rate.",
        _boxes(10, ((2 * DAY, 0.01),)), step=2, settled=4, min_spacing=45,
    )  # fmt: skip
    yield Scenario(
        "rest, office hours", "Office hours, with a rest of 45 s.",
        _boxes(2) + (Miner(10 * BOX, _daily(14, 8, 18)),) * 8, days=14, settled=2, min_spacing=45,
    )  # fmt: skip


SCENARIOS = tuple(_scenarios())
"""What a ward goes through."""


def _median_only(scenario: Scenario) -> Scenario:
    return replace(scenario, name=f"{scenario.name}, median only", rules=MEDIAN_ONLY)


def _hardships() -> Iterator[Scenario]:
    named = {scenario.name: scenario for scenario in SCENARIOS}
    yield replace(
        named["rest, ahead"], name="rest by stamp", rest=Rest.STAMP,
        text="As *rest, ahead*, but miners count their rest from the head's stamp.",
    )  # fmt: skip
    pauses = (
        Scenario(
            "nights off", "The whole ward is on from 8 to 18 h only.",
            _boxes(10, _daily(14, 8, 18)), days=14, settled=2,
        ),
        Scenario(
            "nights off, old",
            "The same with a hundredth of the hash rate that the ward was founded with; one box of "
            "ten stamps as old as it can.",
            _forged(Stamp.OLD, 1, BOX / 100, _daily(20, 8, 18)), days=20, settled=2,
        ),
        Scenario(
            "hundredth, old", "As *hundredth*, and three of ten stamp as old as they can.",
            _forged(Stamp.OLD, 3, BOX, ((2 * DAY, 0.01),)), step=2, settled=4,
        ),
        Scenario(
            "month off", "All boxes are off for thirty days.",
            _boxes(10, ((2 * DAY, 0.0), (32 * DAY, 1.0))), days=36, settled=32, step=32,
        ),
    )  # fmt: skip
    for scenario in pauses:
        yield scenario
        yield _median_only(scenario)
    for bound in (600, 42):
        yield Scenario(
            f"quick ward, {bound} s",
            f"As *ahead*, with blocks every 6 s and a future bound of {bound} s.",
            _forged(Stamp.AHEAD, 3), days=1, settled=0.1, spacing=6, future_bound=bound,
        )  # fmt: skip


HARDSHIPS = tuple(_hardships())
"""What pauses and forged times do, beside what they would do to rules without the two bounds."""
