"""What is remembered of the clock over restarts, and what is said when it changes."""

import json
import logging
from dataclasses import replace

import pytest

from edgenode.gossip.clock import Memory, Policy, Reading, State, Vouched
from edgenode.gossip.clock_file import read_memory, write_memory
from edgenode.gossip.clock_watch import KEEP_SECONDS, ClockUntrustedError, ClockWatch

LOST = "what was known of the clock is lost"
NOW = 1_800_000_000.0


class Clocks:
    """A box's clocks, which a test sets."""

    def __init__(self, *, synchronised=False):
        self.now = Reading(NOW, 30.0, "first", synchronised)

    def __call__(self):
        return self.now

    def run(self, seconds):
        self.now = replace(
            self.now, wall=self.now.wall + seconds, since_boot=self.now.since_boot + seconds
        )

    def restart(self, boot, wall):
        self.now = Reading(wall, 5.0, boot, synchronised=False)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "clock.json"


def watch(clocks, file, policy=Policy.SYNCHRONISED, newest=NOW - 600):
    return ClockWatch(policy, file, lambda: newest, read=clocks, build=NOW - 1e6)


def written(file):
    return json.loads(file.read_text())


def test_a_restarted_service_remembers_who_vouched_and_a_restarted_box_does_not(file):
    clocks = Clocks()
    first = watch(clocks, file)
    assert not first.verdict().trusted
    assert first.accept().state is State.ACCEPTED
    clocks.run(3)
    assert watch(clocks, file).verdict().state is State.ACCEPTED
    clocks.restart("second", NOW + 10)
    again = watch(clocks, file)
    assert again.verdict().state is State.UNSYNCHRONISED
    assert written(file)["vouched"] is None


def test_a_box_whose_boots_cannot_be_told_apart_forgets_at_each_start(file):
    clocks = Clocks()
    clocks.now = replace(clocks.now, boot="")
    first = watch(clocks, file)
    first.accept()
    assert first.verdict().trusted
    assert not watch(clocks, file).verdict().trusted


def test_the_time_seen_last_is_a_floor_after_a_restart(file):
    clocks = Clocks(synchronised=True)
    watch(clocks, file).verdict()
    clocks.restart("second", NOW - 500)
    found = watch(clocks, file, newest=0).verdict()
    assert found.state is State.BEHIND
    assert "when this box last ran" in found.reason


def test_the_time_seen_last_is_written_at_the_start_and_then_every_ten_minutes(file):
    clocks = Clocks(synchronised=True)
    box = watch(clocks, file)
    seen = set()
    for _ in range(3 * int(KEEP_SECONDS)):
        box.look(clocks.now.since_boot)
        seen.add(written(file)["last_seen"])
        clocks.run(1)
    assert sorted(seen) == [NOW, NOW + KEEP_SECONDS, NOW + 2 * KEEP_SECONDS]


def test_where_any_clock_will_do_nothing_is_read_or_written(file):
    clocks = Clocks()
    box = watch(clocks, file, Policy.ANY)
    assert box.accept().state is State.UNCHECKED
    assert not file.exists()
    file.write_text("rubbish")
    assert watch(clocks, file, Policy.ANY).verdict().trusted
    assert file.read_text() == "rubbish"


def test_a_change_is_said_once(file, caplog):
    caplog.set_level(logging.INFO)
    clocks = Clocks()
    box = watch(clocks, file)
    for _ in range(5):
        box.verdict()
        clocks.run(1)
    clocks.now = replace(clocks.now, synchronised=True)
    for _ in range(5):
        box.verdict()
        clocks.run(1)
    assert [(r.levelname, r.getMessage(), r.reason) for r in caplog.records] == [
        ("WARNING", "no mining and no signing: the clock is not trusted",
         "not synchronised yet, nor accepted by hand"),
        ("INFO", "the clock is trusted", "synchronised"),
    ]  # fmt: skip


def test_a_developers_clock_is_not_talked_about(file, caplog):
    caplog.set_level(logging.INFO)
    watch(Clocks(), file, Policy.ANY).verdict()
    assert caplog.records == []


def test_a_clock_that_is_required_says_why_it_is_not_there(file):
    with pytest.raises(ClockUntrustedError, match="not trusted: not synchronised yet"):
        watch(Clocks(), file).require()
    watch(Clocks(synchronised=True), file).require()


def test_a_disk_that_takes_nothing_does_not_stop_the_clock_and_is_named_at_times(tmp_path, caplog):
    clocks = Clocks(synchronised=True)
    box = watch(clocks, tmp_path / "missing" / "clock.json")
    for _ in range(int(KEEP_SECONDS) + 10):
        assert box.verdict().trusted
        clocks.run(1)
    said = [r.getMessage() for r in caplog.records if "is not kept" in r.getMessage()]
    assert len(said) == 2
    (tmp_path / "missing").mkdir()
    box.accept()
    assert written(tmp_path / "missing" / "clock.json")["vouched"]["state"] == "synchronised"


@pytest.mark.parametrize(
    "memory",
    [
        Memory(),
        Memory(NOW),
        Memory(NOW + 0.25, Vouched(State.SYNCHRONISED, "b00t", NOW - 30)),
        Memory(NOW, Vouched(State.ACCEPTED, "b00t", NOW - 30.125)),
    ],
)
def test_what_is_written_is_read(file, memory):
    write_memory(file, memory)
    assert read_memory(file) == memory
    assert [path.name for path in file.parent.iterdir()] == ["clock.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"format": 1}',
        '{"format": 2, "last_seen": 1.0}',
        '{"format": 1, "last_seen": NaN}',
        '{"format": 1, "last_seen": 1, "vouched": {}}',
        '{"format": 1, "last_seen": 1, "vouched": {"state": "x", "boot": "b", "offset": 1}}',
        '{"format": 1, "last_seen": 1, "vouched": {"state": "behind", "boot": "b", "offset": 1}}',
        '{"format": 1, "last_seen": 1, "vouched": {"state": "accepted", "boot": "", "offset": 1}}',
        "[" * 4000,
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_nothing_of_it_believed(file, text, caplog):
    file.write_text(text)
    assert read_memory(file) == Memory()
    assert [(r.getMessage(), r.file) for r in caplog.records] == [(LOST, file)]


def test_bytes_that_are_no_text_are_no_memory(file, caplog):
    file.write_bytes(b"\xff\xfe\x00")
    assert read_memory(file) == Memory()
    assert LOST in caplog.text
