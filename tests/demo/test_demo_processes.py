"""Whatever ends the demo, it says so, and no process is left."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.demo.demos import demo_of_one_box, until

pytestmark = pytest.mark.processes


@pytest.fixture
def demo(recorded, tmp_path):
    with demo_of_one_box(recorded, "--out", str(tmp_path)) as running:
        yield running


def test_a_demo_with_json_prints_one_document_and_leaves_nothing(recorded, tmp_path):
    options = ["--json", "--blocks", "12", "--spacing", "1", "--out", str(tmp_path)]
    with demo_of_one_box(recorded, *options) as demo:
        status, said, complained = demo.ended()
        assert not demo.running()
    assert status == 0, complained
    document = json.loads(said)
    assert document["agree"]
    assert document["problems"] == []
    assert document == json.loads((tmp_path / "demo.json").read_text())
    assert "kept in" not in complained
    assert "block 0 of 12; bed-1: " in complained


def test_a_radio_that_died_ends_the_demo_with_status_1_and_the_name_of_its_log(demo):
    os.kill(demo.find("demo.radio"), signal.SIGKILL)
    status, _, said = demo.ended()
    assert status == 1
    assert "the virtual radio ended with status -9" in said
    assert "radio.log" in said
    assert not demo.running()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_demo_ends_all_that_it_started(demo, number):
    demo.process.send_signal(number)
    status, _, said = demo.ended()
    assert status == 1
    assert "demo: interrupted" in said
    assert "Traceback" not in said
    assert not demo.running()


def test_further_interruptions_do_not_disturb_the_end(demo):
    """One process does not take part in the end before the interruptions have come."""
    stubborn = demo.find("edgenode-exporter")
    os.kill(stubborn, signal.SIGSTOP)
    # A later SIGTERM could still overtake it.
    state = Path(f"/proc/{stubborn}/status")
    until(lambda: "State:\tT" in state.read_text(), "the process to stop")
    demo.process.send_signal(signal.SIGINT)
    until(lambda: not any("edgenode-trainer" in line for line in demo.running().values()), "an end")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        demo.process.send_signal(number)
    os.kill(stubborn, signal.SIGCONT)
    status, _, said = demo.ended()
    assert status == 1
    assert "Traceback" not in said
    assert not demo.running()


def test_nothing_outlives_a_demo_that_was_killed(demo):
    miner = demo.find("edgenode-miner")
    os.kill(miner, signal.SIGKILL)
    until(lambda: demo.find("edgenode-miner") != miner, "the miner to be started again")
    demo.process.kill()
    until(lambda: not demo.running(), "all processes to die")
