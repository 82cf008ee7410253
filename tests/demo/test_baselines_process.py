"""The baselines' process: how far it came, and why not further."""

import pytest

from demo.baselines_process import BaselinesProcess

pytestmark = pytest.mark.processes


def baselines(recordings, tmp_path, rounds):
    return BaselinesProcess(recordings, [(1, 2)], (9, 10), rounds, tmp_path / "baselines.log")


def test_baselines_that_fail_name_their_log(tmp_path):
    with baselines(tmp_path / "none", tmp_path, 1) as process:
        reached = process.finish(60.0)
    assert reached.rows == []
    assert not reached.cut_off
    assert reached.failure == (
        f"the baselines ended with status 1; see {tmp_path / 'baselines.log'}"
    )
    assert "none does not exist" in (tmp_path / "baselines.log").read_text()


def test_baselines_that_are_cut_off_have_not_failed(recorded, tmp_path):
    with baselines(recorded, tmp_path, 1_000_000) as process:
        reached = process.finish(0.0)
    assert reached.cut_off
    assert reached.failure is None


def test_baselines_that_ended_have_all_their_rounds(recorded, tmp_path):
    with baselines(recorded, tmp_path, 2) as process:
        reached = process.finish(240.0)
    assert [row.round for row in reached.rows] == [1, 2]
    assert not reached.cut_off
    assert reached.failure is None
