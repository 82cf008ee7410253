"""Random trouble by seed; CONTRIBUTING.md tells how one is replayed."""

import pytest

from edgenode.ledger import validation
from edgenode.sim import byzantine, trouble
from edgenode.sim.arena import Behaviour
from edgenode.sim.byzantine import run_seed
from edgenode.sim.long_trouble import LongTrouble
from edgenode.sim.reference import Violation
from edgenode.sim.trouble import CONDITIONS, Trouble
from edgenode.sim.watched_arena import WatchedArena


@pytest.mark.parametrize("seed", range(6))
def test_a_fifth_of_the_members_dishonest_break_nothing(seed):
    outcome = run_seed(seed)
    assert outcome.fault is None
    assert outcome.final > 0


def test_a_long_life_has_a_flag_of_its_own_and_the_command_that_replays_a_seed_names_it(
    monkeypatch, capsys
):
    monkeypatch.setattr(LongTrouble, "seconds", 100.0)
    assert byzantine.main(["--long", "--seed", "3"]) == 0
    monkeypatch.setattr(LongTrouble, "patience", 0.0)
    assert byzantine.main(["--long", "--seeds", "3:4"]) == 1
    assert f"  replay it: {byzantine.COMMAND} --long --seed 3 --verbose" in capsys.readouterr().out


class ClonedWard(WatchedArena):
    """Twelve members in two halves; the first `traitors` of them have a box in each half."""

    def __init__(self, traitors):
        self.traitors = traitors
        cloned = range(2 * traitors)
        super().__init__(12 + traitors, 1, CONDITIONS, {i: [Behaviour()] for i in cloned}, 5)
        self.partition(range(0, 12 + traitors, 2), range(1, 12 + traitors, 2))

    def _keys(self, boxes):
        members = super()._keys(boxes)
        return [members[i // 2 if i < 2 * self.traitors else i] for i in range(boxes)]


def test_with_too_many_who_vote_twice_two_halves_finalise_different_blocks_and_it_is_seen():
    ward = ClonedWard(traitors=6)
    with pytest.raises(Violation, match="on two branches"):
        ward.run(120)


def test_with_a_quarter_who_vote_twice_neither_half_finalises_anything():
    ward = ClonedWard(traitors=3)
    ward.run(120)
    assert ward.watch.moves > 50
    assert ward.watch.final.height == 0


def test_an_update_that_is_counted_twice_is_seen(monkeypatch):
    monkeypatch.setattr(validation.counted_updates, "is_counted", lambda *_: False)
    monkeypatch.setattr(trouble, "KINDS", (trouble.Forger,) * 3)
    faults = [run_seed(seed).fault for seed in range(3)]
    assert any(fault and "a second time" in fault for fault in faults), faults


def test_a_seed_that_fails_is_told_with_the_command_that_replays_it(monkeypatch, capsys):
    monkeypatch.setattr(validation.counted_updates, "is_counted", lambda *_: False)
    monkeypatch.setattr(trouble, "KINDS", (trouble.Forger,) * 3)
    assert byzantine.main(["--seeds", "0:3"]) == 1
    *told, summary = capsys.readouterr().out.splitlines()
    failed = [line.split()[1] for line in told if "FAILED" in line]
    assert summary.startswith(f"seeds 3, failed {len(failed)}: {' '.join(failed)}, height ")
    fault, replay = told[:2]
    assert replay == f"  replay it: {byzantine.COMMAND} --seed {failed[0]} --verbose"
    assert byzantine.main(replay.partition(byzantine.COMMAND)[2].split()) == 1
    assert fault in capsys.readouterr().out.splitlines()


def test_a_long_run_says_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr(byzantine, "PROGRESS", 1)
    monkeypatch.setattr(Trouble, "seconds", 1.0)
    assert byzantine.main(["--seeds", "7:9"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "1 of 2 seeds, 0 failed"
    assert told[1].startswith("seeds 2, failed 0, height ")


@pytest.mark.parametrize("seeds", ["5", "5:5", "9:5", "a:b", ":"])
def test_seeds_that_are_no_range_are_told_so(seeds, capsys):
    with pytest.raises(SystemExit):
        byzantine.main(["--seeds", seeds])
    assert "is not FIRST:END" in capsys.readouterr().err


def test_a_seed_replays_event_by_event():
    stories = []
    for _ in range(2):
        story = []
        run_seed(4, lambda now, text, story=story: story.append((now, text)))
        stories.append(story)
    assert stories[0] == stories[1]
    assert len(stories[0]) > 100
