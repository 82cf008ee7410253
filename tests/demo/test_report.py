"""What the demo found out is compared fairly, and nothing that went wrong is passed over."""

import pytest

from demo.__main__ import AGREEMENT_PATIENCE, BASELINE_PATIENCE, TIE_PATIENCE, longest_run
from demo.baselines_process import Baselines
from demo.observer import Agreement
from demo.plot import draw
from demo.report import SharedModel
from tests.demo.reports import a_report, printed

SAME = {"bed-1": "aa", "bed-2": "aa"}
DIFFERENT = {"bed-1": "aa", "bed-2": "ab"}


def test_a_good_run_has_no_problem():
    assert a_report().problems == []


@pytest.mark.parametrize(
    "agreement",
    [Agreement(DIFFERENT, SAME), Agreement(SAME, DIFFERENT)],
    ids=["heads", "parameters"],
)
def test_nodes_that_do_not_agree_are_a_problem(agreement):
    report = a_report(agreement=agreement)
    assert report.problems == ["the nodes do not agree"]
    assert "THE NODES DO NOT AGREE" in printed(report)


def test_a_run_without_any_aggregation_is_a_problem():
    report = a_report(shared=[SharedModel(n, 0, 0, 6, 0.1) for n in range(29)])
    assert report.problems == ["no round was aggregated"]


def test_what_did_not_run_to_the_end_is_a_problem():
    failed = "the baselines ended with status 1; see baselines.log"
    report = a_report(failures=["bed-1/trainer: gone"], baselines=Baselines([], failure=failed))
    assert report.problems == ["bed-1/trainer: gone", failed]


def test_a_run_that_the_time_limit_ended_says_how_far_it_came():
    text = printed(a_report(height=20, seconds=210.2))
    stopped = "stopped after 210 s at block 20 of 28"
    assert f"{stopped}: shorter than asked for, and valid as far as it goes\n" in text
    assert "stopped" not in printed(a_report())
    text = printed(a_report(height=20, seconds=210.2, agreement=Agreement(DIFFERENT, SAME)))
    assert f"{stopped}\n" in text


def test_services_that_were_started_again_are_named():
    text = printed(a_report(restarts={"bed-1/trainer": 3}))
    assert "started more than once: bed-1/trainer 3 times" in text
    assert "more than once" not in printed(a_report())


def test_the_shared_model_is_compared_with_the_baselines_at_the_same_rounds():
    text = printed(a_report())
    last_five = "mean of the last five blocks: "
    end = "; all data in one place"
    assert f"{last_five}shared 26.0 %; alone 9.8 %{end} 52.0 %" in text
    assert "baselines reached" not in text
    text = printed(a_report(rounds=8))
    assert "baselines reached round 8 of 28" in text
    assert f"mean of blocks 4 to 8: shared 6.0 %; alone 2.2 %{end} 12.0 %" in text
    text = printed(a_report(height=20))
    assert f"{last_five}shared 18.0 %; alone 6.8 %{end} 36.0 %" in text


def test_of_a_few_blocks_all_are_compared_and_genesis_is_not():
    text = printed(a_report(height=3))
    assert "mean of blocks 1 to 3: shared 2.0 %; alone 0.8 %; all data in one place 4.0 %" in text
    assert "at block 1: shared 1.0 %" in printed(a_report(height=1))


def test_the_table_says_why_some_blocks_dip():
    text = printed(a_report())
    assert "A block with one update is one box's model: such blocks dip." in text
    assert "The baselines stand at their own round of the same number." in text


def test_baselines_that_the_time_limit_cut_off_say_so_and_are_no_problem():
    report = a_report(baselines=Baselines(a_report(rounds=5).baselines.rows, cut_off=True))
    assert "baselines reached round 5 of 28: the time was up" in printed(report)
    assert report.problems == []


def test_a_run_without_a_block_or_a_baseline_can_be_printed_and_drawn(tmp_path):
    report = a_report(height=0, rounds=0)
    assert "baselines reached round 0 of 28" in printed(report)
    draw(report, tmp_path / "demo.png")
    assert (tmp_path / "demo.png").exists()


def test_a_run_may_last_as_long_as_its_blocks_take_and_the_usual_one_under_six_minutes():
    for blocks, spacing in ((1, 1), (6, 6), (40, 6), (28, 90)):
        assert longest_run(blocks, spacing) > blocks * spacing
    patience = TIE_PATIENCE + AGREEMENT_PATIENCE + BASELINE_PATIENCE
    assert longest_run(28, 6) + patience < 6 * 60 - 30
