"""The boot state on a partition, and the commands that RAUC and people use."""

import subprocess
import sys

import pytest

from edgenode.appliance.boot_slots import BootSlots, current_slot
from edgenode.appliance.boot_state import (
    FACTORY,
    FILE_NAMES,
    BootStateError,
    Slot,
    confirmed,
    encode,
    newest,
    on_trial,
)


@pytest.fixture
def folder(tmp_path):
    for name in FILE_NAMES:
        (tmp_path / name).write_bytes(encode(FACTORY))
    return tmp_path


@pytest.fixture
def command(folder):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "edgenode.appliance.boot_slots", "--folder", folder, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_change_goes_to_the_older_file_in_place(folder, tmp_path):
    slots = BootSlots(folder, tmp_path / "lock")
    inodes = {name: (folder / name).stat().st_ino for name in FILE_NAMES}
    slots.change(lambda state: on_trial(state, Slot.B))
    first = [(folder / name).read_bytes() for name in FILE_NAMES]
    assert [raw == encode(FACTORY) for raw in first].count(True) == 1
    slots.change(lambda state: confirmed(state, Slot.B))
    second = [(folder / name).read_bytes() for name in FILE_NAMES]
    assert encode(FACTORY) not in second
    assert newest(second)[0] == slots.read()
    assert {name: (folder / name).stat().st_ino for name in FILE_NAMES} == inodes


def test_a_damaged_file_is_the_one_that_is_written_over(folder, tmp_path):
    (folder / FILE_NAMES[0]).write_bytes(b"\xff" * 512)
    slots = BootSlots(folder, tmp_path / "lock")
    slots.change(lambda state: on_trial(state, Slot.B))
    assert newest([(folder / FILE_NAMES[0]).read_bytes(), None])[0] == slots.read()


def test_what_rauc_asks_during_an_update(command):
    assert command("get-primary").stdout == "A\n"
    assert command("get-state", "B").stdout == "bad\n"
    assert command("set-state", "B", "bad").returncode == 0
    assert command("set-primary", "B").returncode == 0
    assert command("get-primary").stdout == "B\n"
    assert command("get-state", "B").stdout == "good\n"
    assert "slot B: trial, 2 starts left" in command("show").stdout
    assert command("set-state", "B", "good").returncode == 0
    assert "slot B: good, 3 starts left" in command("show").stdout
    # back by hand: a slot that was good is not on trial again
    assert command("set-primary", "A").returncode == 0
    assert "slot A: good, 3 starts left" in command("show").stdout


def test_an_update_that_was_written_half_is_never_started(command):
    command("set-primary", "B")
    command("set-state", "B", "bad")
    assert command("get-primary").stdout == "A\n"


def test_a_partition_without_state_is_an_error_that_names_both_files(command, folder):
    for name in FILE_NAMES:
        (folder / name).unlink()
    done = command("get-primary")
    assert done.returncode == 1
    assert "bootstate.0: it cannot be read; bootstate.1: it cannot be read" in done.stderr


def test_a_slot_that_does_not_exist_is_a_wrong_argument(command):
    done = command("set-primary", "C")
    assert done.returncode == 2
    assert "invalid choice: 'C'" in done.stderr


@pytest.mark.parametrize(
    ("cmdline", "slot"),
    [
        ("root=PARTUUID=ed9e0001-05 rauc.slot=A panic=10", Slot.A),
        ("rauc.slot=B\n", Slot.B),
        ("rauc.slot=C", None),
        ("root=/dev/sda1 quiet", None),
    ],
)
def test_the_running_slot_is_on_the_kernels_command_line(cmdline, slot):
    assert current_slot(cmdline) is slot


def test_a_change_that_cannot_be_written_leaves_the_state(folder, tmp_path):
    slots = BootSlots(folder, tmp_path / "lock")
    (folder / FILE_NAMES[0]).unlink()
    (folder / FILE_NAMES[0]).mkdir()
    with pytest.raises(OSError, match="directory"):
        slots.change(lambda state: on_trial(state, Slot.B))
    assert slots.read() == FACTORY


def test_no_change_writes_nothing(folder, tmp_path):
    before = [(folder / name).read_bytes() for name in FILE_NAMES]
    BootSlots(folder, tmp_path / "lock").change(lambda state: state)
    assert [(folder / name).read_bytes() for name in FILE_NAMES] == before


def test_the_state_of_nothing_cannot_be_changed(tmp_path):
    with pytest.raises(BootStateError):
        BootSlots(tmp_path, tmp_path / "lock").change(lambda state: on_trial(state, Slot.B))
