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
    assert "stopped after 210 s at block 20 of 28" in text
    assert "stopped" not in printed(a_report())


def test_services_that_were_started_again_are_named():
    text = printed(a_report(restarts={"bed-1/trainer": 3}))
    assert "started more than once: bed-1/trainer 3 times" in text
    assert "more than once" not in printed(a_report())


def test_the_shared_model_is_compared_with_the_baselines_at_the_same_round():
    text = printed(a_report())
    assert "in the end: shared 28.0 %; alone 14.0, 7.0 %" in text
    assert "baselines reached" not in text
    text = printed(a_report(rounds=5))
    assert "baselines reached round 5 of 28" in text
    assert "at block 5 and their round 5: shared 5.0 %; alone 2.5, 1.2 %" in text
    text = printed(a_report(height=20))
    assert "in the end: shared 20.0 %; alone 10.0, 5.0 %" in text


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
