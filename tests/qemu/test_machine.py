"""A machine from power to power cut, with U-Boot as its guest."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest

from qemu import disk
from qemu.errors import GuestEndedError, PatienceError, QemuError
from qemu.replay import Replay
from qemu.write_log import WriteLog
from tests.qemu.conftest import PATIENCE, to_prompt, type_in
from tests.qemu.images import FAT

pytestmark = pytest.mark.qemu

WRITE = "mw.b 0x42000000 0x5a 0x2000; fatwrite virtio 0:1 0x42000000 {} 0x2000"


@pytest.fixture
def machine(make_machine):
    made = make_machine()
    made.start()
    to_prompt(made)
    return made


def test_it_sees_its_disk_and_does_what_is_typed(machine):
    assert "edgenode.txt" in type_in(machine, "fatls virtio 0:1")
    assert machine.running
    assert machine.ssh_port > 0


def test_a_second_start_is_refused_and_does_no_harm(machine):
    with pytest.raises(QemuError, match="bed-1 is on"):
        machine.start()
    assert "edgenode.txt" in type_in(machine, "fatls virtio 0:1")


def test_the_reset_button_starts_the_guest_anew(machine):
    type_in(machine, "setenv here yes")
    machine.reset()
    to_prompt(machine)
    assert "not defined" in type_in(machine, "printenv here")


def test_a_power_cut_ends_it_at_once_and_keeps_what_was_written(machine):
    assert "8192 bytes written" in type_in(machine, WRITE.format("new.bin"))
    machine.power_cut()
    assert not machine.running
    with pytest.raises(GuestEndedError):
        machine.reset()
    machine.start()
    to_prompt(machine)
    assert "8192   new.bin" in type_in(machine, "fatls virtio 0:1")


def test_a_guest_that_switches_itself_off_is_waited_for(machine):
    machine.console.send_line("poweroff")
    machine.wait_until_off(PATIENCE)
    assert not machine.running


def test_a_guest_that_stays_on_is_told_of_with_its_last_words(machine):
    with pytest.raises(PatienceError, match=r"stayed on(.|\n)*=>"):
        machine.shut_down(patience=0.5)


def test_a_saved_state_is_gone_on_from(machine):
    type_in(machine, "setenv here yes")
    machine.save("ready")
    type_in(machine, "setenv here no")
    machine.power_cut()
    machine.start(saved="ready")
    assert "here=yes" in type_in(machine, "printenv here")


def test_a_state_that_was_not_saved_is_an_error(machine):
    machine.power_cut()
    with pytest.raises(QemuError, match="never"):
        machine.start(saved="never")


def test_the_clock_is_what_was_asked_for(make_machine):
    machine = make_machine(rtc=datetime(1970, 1, 1, tzinfo=UTC))
    machine.start()
    to_prompt(machine)
    assert "1970-01-01" in type_in(machine, "date")


def test_the_watchdog_and_the_radio_are_on_the_bus(make_machine, tmp_path):
    machine = make_machine(watchdog=True, radio=tmp_path / "radio.sock")
    machine.start()  # though no radio serves there yet
    to_prompt(machine)
    bus = type_in(machine, "pci")
    assert "0x8086     0x25ab" in bus
    assert "0x1b36     0x0002" in bus


def test_a_cable_that_is_pulled_carries_nothing(machine):
    assert "10.0.2.15" in type_in(machine, "dhcp; printenv ipaddr")
    assert "is alive" in type_in(machine, "ping 10.0.2.2")
    machine.plug("login", into=False)
    assert "is not alive" in type_in(machine, "ping 10.0.2.2")
    machine.plug("login", into=True)
    assert "is alive" in type_in(machine, "ping 10.0.2.2")


def test_each_moment_of_a_recorded_run_can_be_looked_at(make_machine, tmp_path):
    machine = make_machine(write_log=tmp_path / "writes.log")
    base = disk.to_raw(machine.disk, tmp_path / "base.img")
    machine.start()
    to_prompt(machine)
    for name in ("one.bin", "two.bin"):
        assert "8192 bytes written" in type_in(machine, WRITE.format(name))
    machine.quit()
    log = WriteLog.read(tmp_path / "writes.log", disk.size_of(base))
    replay = Replay(log, base, tmp_path / "replay.img")
    seen = []
    for boundary in log.boundaries():
        replay.advance(boundary)
        names = set()
        for name in ("one.bin", "two.bin"):
            try:
                if disk.read_file(replay.image, FAT, name) == b"\x5a" * 8192:
                    names.add(name)
            except QemuError:  # not there, or half of it
                continue
        seen.append(names)
    assert seen[0] == set()
    assert {"one.bin"} in seen
    assert seen[-1] == {"one.bin", "two.bin"}
    assert all(before <= after for before, after in pairwise(seen))


def test_a_log_is_of_one_start_only(make_machine, tmp_path):
    machine = make_machine(write_log=tmp_path / "writes.log")
    machine.start()
    to_prompt(machine)
    type_in(machine, WRITE.format("one.bin"))
    machine.power_cut()
    with pytest.raises(QemuError, match="the write log of an earlier start"):
        machine.start()
