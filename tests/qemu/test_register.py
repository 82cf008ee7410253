"""Which boxes run: what one command leaves for the next, and what a dead box leaves."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from qemu import register
from qemu.__main__ import main
from qemu.register import Running


@pytest.fixture
def box(tmp_path):
    """A process that is at home in a box's directory, as QEMU is, and what is noted of it."""
    directory = tmp_path / "bed-1"
    directory.mkdir()
    process = subprocess.Popen(["sleep", "600"], cwd=directory)
    running = Running("bed-1", process.pid, 2222, "/k", "image", time.time() - 125)
    register.enter(directory, running)
    yield directory, running, process
    process.kill()
    process.wait()


def test_a_box_that_runs_is_found(box, tmp_path):
    directory, running, _ = box
    assert register.find(directory) == running
    assert register.everything(tmp_path) == {directory: running}
    assert running.minutes == 2


def test_a_box_that_ended_is_not_found_though_its_file_is_there(box, tmp_path):
    directory, _, process = box
    process.kill()
    process.wait()
    assert register.find(directory) is None
    assert register.everything(tmp_path) == {}


def test_another_process_with_the_same_number_is_not_the_box(tmp_path):
    directory = tmp_path / "bed-1"
    directory.mkdir()
    register.enter(directory, Running("bed-1", os.getpid(), 2222, "/k", "image", 0.0))
    assert Path.cwd() != directory
    assert register.find(directory) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"name": 1}', "\x00"])
def test_a_file_that_is_none_is_passed_over(tmp_path, text):
    (tmp_path / "box.json").write_text(text)
    assert register.find(tmp_path) is None
    assert register.everything(tmp_path) == {}


def test_what_runs_is_shown_and_stopped(box, tmp_path, capsys):
    directory, _, process = box
    assert main(["--directory", str(tmp_path), "status"]) == 0
    said = capsys.readouterr().out
    assert f"bed-1: on for 2 min, process {process.pid}, SSH on port 2222" in said
    assert main(["--directory", str(tmp_path), "ssh", "bed-2"]) == 1
    assert "no box bed-2 runs, only bed-1" in capsys.readouterr().err
    assert main(["--directory", str(tmp_path), "stop", "bed-1"]) == 0
    assert not directory.exists()
    assert process.wait() == -9


def test_nothing_that_runs_is_said_in_words(tmp_path, capsys):
    assert main(["--directory", str(tmp_path), "status"]) == 0
    assert "python -m qemu boot starts one" in capsys.readouterr().out
    assert main(["--directory", str(tmp_path), "stop"]) == 0
    assert main(["--directory", str(tmp_path), "ssh"]) == 1
    assert "no box runs" in capsys.readouterr().err


def test_an_image_that_is_not_there_is_asked_for(tmp_path, capsys):
    for command in ("boot", "ward"):
        words = ["--directory", str(tmp_path), command, "--image", str(tmp_path / "none.img")]
        assert main(words) == 1
        said = capsys.readouterr().err
        assert "`make image` builds it" in said or "apt install" in said
