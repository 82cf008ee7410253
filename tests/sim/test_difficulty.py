"""The pace of a ward under all that happens to it; each scenario depends on its seed alone."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest

from edgenode.cli.new_genesis import new_genesis
from edgenode.ledger.difficulty import next_target
from edgenode.ledger.genesis import Member
from edgenode.ledger.headers import MEDIAN_TIME_BLOCKS, Entry
from edgenode.ledger.target import expand
from edgenode.ledger.template import build_template
from edgenode.sim.difficulty import (
    LEDGER,
    MEDIAN_ONLY,
    Made,
    Miner,
    Pace,
    Rest,
    Stamp,
)
from edgenode.sim.pace_figures import back_after, hashing_seconds, mean_interval, spread
from edgenode.sim.pace_scenarios import DAY, HARDSHIPS, SCENARIOS, play
from tests.docs.markdown import DOCS
from tests.ledger.builder import ALICE, Bench, make_genesis

SEEDS = (1, 2, 3)
NAMED = {scenario.name: scenario for scenario in (*SCENARIOS, *HARDSHIPS)}
_WARDS = {}


def ward(spacing=90):
    """The constants of a new ward of a million hashes per second."""
    if spacing not in _WARDS:
        _WARDS[spacing] = new_genesis(
            name="simulated",
            time=1_700_000_000,
            members=[Member("box", ALICE.public.hex())],
            models=["activity"],
            spacing=spacing,
        )
    return _WARDS[spacing]


def played(name, seed):
    return play(NAMED[name], ward, seed)


# What the ward is promised


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_mean_interval_is_within_5_percent_and_the_pace_does_not_swing_wider(scenario, seed):
    run = play(scenario, ward, seed)
    assert run.mean == pytest.approx(scenario.spacing, rel=0.05)
    first, second = run.spreads
    assert second < 1.5 * first
    assert run.beside < 0.1


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["hundredth", "leaving", "rest, hundredth"])
def test_after_a_drop_a_block_takes_at_most_twice_the_spacing_from_the_fiftieth_on(name, seed):
    blocks, seconds = played(name, seed).not_slow
    assert blocks <= 50
    assert seconds < 0.5 * DAY


@pytest.mark.parametrize("seed", SEEDS)
def test_after_a_rise_a_block_takes_at_least_half_the_spacing_from_the_two_hundredth_on(seed):
    blocks, _ = played("hundredfold", seed).not_quick
    assert blocks <= 200


@pytest.mark.parametrize("factor", [0.01, 0.1, 10, 100])
def test_without_luck_a_step_is_answered_without_overshooting(factor):
    genesis = ward()
    target = expand(genesis.target_start)
    settled = target / factor  # here a block takes the spacing again
    strays = []
    for _ in range(1000):
        seconds = genesis.spacing * settled / target
        target = next_target(
            target, genesis.limit, round(seconds), genesis.spacing, genesis.half_life
        )
        strays.append(math.log2(target / settled))
    assert all(abs(later) <= abs(earlier) for earlier, later in pairwise(strays))
    assert all(stray < 0 for stray in strays) or all(stray > -0.02 for stray in strays)
    assert abs(strays[-1]) < 0.02


# Forged times


@pytest.mark.parametrize("stamp", [Stamp.AHEAD, Stamp.OLD])
def test_a_forger_gets_no_more_than_its_share_of_blocks(stamp):
    miners = [Miner(3e5, stamp=stamp), *[Miner(1e5)] * 7]
    blocks = Pace(ward(), miners, 1).run(10 * DAY)
    assert sum(block.miner == 0 for block in blocks) / len(blocks) == pytest.approx(0.3, abs=0.02)


def test_stamps_obey_the_median_and_the_future_bound():
    genesis = ward()
    miners = [Miner(2e5, stamp=Stamp.AHEAD), Miner(2e5, stamp=Stamp.OLD), *[Miner(1e5)] * 6]
    blocks = Pace(genesis, miners, 1).run(2 * DAY)
    assert len(blocks) > 1000
    for number, block in enumerate(blocks):
        assert block.time <= genesis.time + block.at + genesis.future_bound
        if number >= MEDIAN_TIME_BLOCKS:
            before = sorted(b.time for b in blocks[number - MEDIAN_TIME_BLOCKS : number])
            assert block.time > before[MEDIAN_TIME_BLOCKS // 2]
    forged = [block for block in blocks if block.miner == 0]
    assert max(b.time - genesis.time - b.at for b in forged) > genesis.future_bound - 1


def test_a_block_from_the_future_is_held_back_until_the_clock_admits_it():
    genesis = ward()
    late = Miner(1e-9, offset=-100)  # it finds nothing, and waits 100 s for each forged block
    pace = Pace(genesis, [Miner(1e6, stamp=Stamp.AHEAD), late], 1, delay=1)
    pace.run(DAY)
    newest = pace.head.header.time
    assert newest > genesis.time + pace.now - 100 + genesis.future_bound
    held = pace._states[1].head.header.time
    assert held <= genesis.time + pace.now - 100 + genesis.future_bound
    assert held > newest - 2000


@pytest.mark.parametrize("seed", SEEDS)
def test_a_block_stamped_ahead_keeps_no_miner_from_working_when_the_rest_counts_from_its_coming(
    seed,
):
    miners = [Miner(1e5, stamp=Stamp.AHEAD), *[Miner(1e5)] * 9]

    def shortest_after_a_forged_block(rest):
        blocks = Pace(ward(), miners, seed, min_spacing=45, rest=rest).run(5 * DAY)
        late = blocks[len(blocks) // 5 :]
        return min(b.at - a.at for a, b in pairwise(late) if a.miner == 0)

    assert shortest_after_a_forged_block(Rest.SEEN) < 60
    assert shortest_after_a_forged_block(Rest.STAMP) > 120


def test_pacing_by_the_stamp_wastes_what_pacing_by_the_coming_does_not():
    assert played("rest, ahead", 1).beside < 0.05 < played("rest by stamp", 1).beside


def test_miners_rest_after_each_head():
    blocks = Pace(ward(), [Miner(1e5)] * 10, 1, min_spacing=45).run(5 * DAY)
    assert min(b.at - a.at for a, b in pairwise(blocks)) >= 45


# Pauses


@pytest.mark.parametrize("seed", SEEDS)
def test_an_old_stamp_after_a_pause_stops_a_ward_that_bounds_stamps_by_the_median_only(seed):
    assert played("nights off, old, median only", seed).mean > 4 * 90


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["nights off", "nights off, old", "hundredth, old", "month off"])
def test_bounded_stamps_and_steps_keep_a_ward_near_its_pace_through_pauses(name, seed):
    run = played(name, seed)
    assert run.mean == pytest.approx(90, rel=0.12)
    assert run.beside < 0.05
    if NAMED[name].step is not None:
        assert run.not_slow[0] <= 60


# The model and its document


def test_the_document_tells_every_scenario_and_its_figures():
    text = (DOCS / "difficulty.md").read_text(encoding="utf-8")
    for scenario in (*SCENARIOS, *HARDSHIPS):
        assert f"\n| {scenario.name} | " in text
        if scenario.rules is not MEDIAN_ONLY:
            assert f"\n- **{scenario.name}**: {scenario.text}\n" in text


def test_a_run_repeats_from_its_seed():
    def run(seed):
        return Pace(ward(), NAMED["office hours"].miners, seed).run(3 * DAY)

    assert run(7) == run(7)
    assert run(7) != run(8)


def test_of_two_branches_with_the_same_work_the_one_that_came_first_stays():
    pace = Pace(ward(), [Miner(1e6)], 1)
    pace.run(DAY / 10)
    head = pace.head
    header = replace(head.header, nonce=head.header.nonce + 10**6)
    sibling = Entry(header, head.height, head.work)
    assert sibling.work == head.work
    pace._receive(0, sibling)
    assert pace._states[0].head is head


def test_the_times_and_targets_are_those_of_the_ledgers_templates():
    bench = Bench(make_genesis(target_start=0x20FFFFFF))
    for seconds in (90, 700, 1, 5000, -1000, 1, 40):
        template = build_template(
            bench.genesis, bench.chain.state, (),
            miner=ALICE.public, now=0, lookup=bench.chain.tree.get, payload=lambda _: b"",
        )  # fmt: skip
        head = bench.chain.head
        assert template.work.time == LEDGER.earliest(bench.genesis, head, bench.chain.tree.get)
        assert template.work.target == LEDGER.target(bench.genesis, head, bench.chain.tree.get)
        bench.grow(1, seconds=seconds)


def test_hashing_seconds_are_those_in_which_somebody_hashes():
    day = Miner(1.0, ((0.0, 0.0), (10.0, 1.0), (20.0, 0.0)))
    evening = Miner(1.0, ((0.0, 0.0), (15.0, 0.5), (30.0, 0.0)))
    assert hashing_seconds([day], 0, 100) == 10
    assert hashing_seconds([day, evening], 0, 100) == 20
    assert hashing_seconds([day, evening], 12, 25) == 13
    assert hashing_seconds([Miner(1.0), day], 5, 25) == 20
    assert hashing_seconds([Miner(0.0)], 0, 10) == 0


def made(expected):
    return [Made(i + 1, 10.0 * i, 0, seconds, 0) for i, seconds in enumerate(expected)]


def test_figures_of_a_chain():
    blocks = made([400, 90, 200, 90, 90])
    assert back_after(blocks, 0, 100, lambda s: s <= 180) == (3, 30.0)
    assert back_after(blocks, 25, 100, lambda s: s <= 180) == (0, 5.0)
    assert back_after(blocks, 0, 25, lambda s: s <= 180) is None
    assert back_after([], 0, 25, lambda s: s <= 180) is None
    assert mean_interval(blocks, [Miner(1.0)], 0, 100) == 20
    assert mean_interval([], [Miner(1.0)], 0, 100) == math.inf
    assert spread(made([45, 180]), 0, 100, 90) == 1
