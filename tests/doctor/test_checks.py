"""Each check, on a box on which one thing is as it should not be."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.api.shapes import ClockStatus, LastReport
from edgenode.appliance.boot_state import Slot, SlotRecord, SlotState
from edgenode.appliance.mistake import Mistake
from edgenode.appliance.units import Unit
from edgenode.doctor.check_storage import FULL_BYTES, SCARCE_BYTES
from edgenode.doctor.examine import CHECKS, Report, examine
from edgenode.doctor.facts import Clock, Facts, Seed, Storage, Store, Unknown
from edgenode.doctor.finding import Finding, Remark, Status, concluded, worst
from tests.doctor.boxes import (
    EMPTY,
    GB,
    NOW,
    PEER,
    RUNNING,
    SAMPLING,
    SKIPPED,
    boot,
    disk,
    finding,
    healthy,
    node,
    reports,
    settings,
    slots,
    statuses,
    storage,
)

OK, WARN, FAIL, SKIP = Status.OK, Status.WARN, Status.FAIL, Status.SKIP


@pytest.fixture
def box(tmp_path):
    return healthy(tmp_path)


@pytest.fixture
def look(box):
    """What a check finds when some of the facts are others."""

    def look(name, **changed):
        found = finding(replace(box, **changed), name)
        assert found.name == name
        assert bool(found.hint) is (found.status in {WARN, FAIL}), found
        assert found.detail
        return found

    return look


def test_on_a_healthy_box_all_is_well(box):
    assert set(statuses(box).values()) == {OK}
    report = examine(box)
    assert (report.status, report.ok) == (OK, True)
    assert {finding.hint for finding in report.findings} == {""}


def test_a_box_of_which_nothing_is_known_is_told_without_a_crash():
    nothing = Unknown("no answer")
    facts = Facts(*[nothing] * len(Facts.__dataclass_fields__))
    found = statuses(facts)
    assert found == {
        "settings": FAIL, "clock": WARN, "storage": FAIL, "services": FAIL, "bluetooth": SKIP,
        "sensors": SKIP, "peers": SKIP, "chain": SKIP, "slot": WARN,
    }  # fmt: skip


# Settings


def test_a_configuration_that_cannot_be_used_is_told_as_the_services_tell_it(look):
    found = look("settings", settings=Unknown("edgenode.toml:3: [node] nam: no such key"))
    assert found.status is FAIL
    assert found.detail == "edgenode.toml:3: [node] nam: no such key"
    assert "edgenode config check" in found.hint


def test_what_setup_found_wrong_on_the_card_is_told_in_full(look):
    mistakes = (Mistake("edgenode.toml:12", "no such key"), Mistake("genesis.toml", "not TOML"))
    found = look("settings", mistakes=mistakes)
    assert found.status is FAIL
    assert found.detail == "edgenode.toml:12: no such key; genesis.toml: not TOML"
    assert found.values["mistakes"] == ("edgenode.toml:12: no such key", "genesis.toml: not TOML")
    assert "FAT partition" in found.hint
    assert look("settings", mistakes=Unknown("not JSON")).status is WARN


def test_with_a_socket_named_no_configuration_is_missed(look):
    assert look("settings", settings=None).status is SKIP
    mistakes = (Mistake("edgenode.toml", "x"),)
    assert look("settings", settings=None, mistakes=mistakes).status is FAIL


# Clock


@pytest.mark.parametrize("state", ["behind", "unsynchronised"])
def test_a_clock_that_the_node_does_not_trust_fails(look, state):
    clock = ClockStatus(False, state, "a reason")
    found = look("clock", node=node(clock=clock))
    assert found.status is FAIL
    assert found.detail == "not trusted, so no mining and no signing: a reason"
    # Nobody can vouch for a clock that is certainly wrong.
    assert ("edgenode clock accept" in found.hint) is (state == "unsynchronised")


def test_a_clock_that_need_not_be_synchronised_is_well(look):
    clock = ClockStatus(True, "unchecked", "not checked")
    found = look("clock", node=node(clock=clock), clock=Clock(NOW, 0, synchronised=False))
    assert (found.status, found.detail) == (OK, "2027-01-15 08:00:00Z, not checked")


@pytest.mark.parametrize(
    ("clock", "status", "text"),
    [
        (Clock(5.0, NOW, synchronised=True), FAIL, "1970-01-01 00:00:05Z is before 2027-"),
        (Clock(NOW, 0, synchronised=False), WARN, "not synchronised"),
        (Clock(NOW, 0, synchronised=True), OK, "synchronised"),
        (Unknown("no adjtimex"), WARN, "no adjtimex"),
    ],
)
def test_without_the_nodes_word_the_clock_is_judged_by_what_anybody_sees(look, clock, status, text):
    found = look("clock", node=Unknown("away"), clock=clock)
    assert found.status is status
    assert text in found.detail


# Storage


@pytest.mark.parametrize(
    ("changed", "status", "text"),
    [
        ({"free": FULL_BYTES - 1}, FAIL, "is full, 67 MB of 28.0 GB free"),
        ({"free": FULL_BYTES}, WARN, "fills up, 67 MB"),
        ({"free": SCARCE_BYTES}, OK, "2.1 GB of 28.0 GB free; the stores open"),
        ({"free": 2 * GB, "total": 19 * GB}, OK, "2.0 GB of 19.0 GB"),
        ({"free": 70 << 20, "total": 100 << 20}, OK, "73 MB of 105 MB"),
        ({"read_only": True}, FAIL, "is mounted read-only"),
        ({"kind": "tmpfs"}, FAIL, "lies in memory (tmpfs) and is lost when the power goes"),
        ({"kind": "overlay"}, FAIL, "lies in memory (overlay)"),
        ({"free_files": 99}, FAIL, "room for 99 more files of 1,000,000"),
        ({"free_files": 49_999}, WARN, "room for 49,999 more files"),
        ({"free_files": None, "total_files": None}, OK, "GB free"),
    ],
)
def test_a_disk_is_judged_by_what_may_still_be_written(look, changed, status, text):
    found = look("storage", storage=storage(**changed))
    assert found.status is status, found
    assert text in found.detail
    assert found.detail.count("GB free") <= 1, "one disk is told once"


def test_a_developers_state_may_lie_in_memory(look):
    assert look("storage", storage=storage(kind="tmpfs"), slots=None).status is OK


def test_two_disks_are_told_both(look):
    full = disk(device=8, free=0, directory=Path("/mnt"))
    two = Storage({"gossip": full, "samples": disk(read_only=True)}, {})
    found = look("storage", storage=two)
    assert found.status is FAIL
    assert "the disk of /mnt is full" in found.detail
    assert "read-only" in found.detail
    assert "max_bytes" in found.hint
    assert "journalctl -k" in found.hint


def test_a_store_that_does_not_open_fails_and_one_that_may_not_be_opened_does_not(look):
    foreign = Storage({"gossip": disk()}, {"gossip": Store(False, "chain.db has format 3")})
    found = look("storage", storage=foreign)
    assert (found.status, found.detail) == (FAIL, "chain.db has format 3")
    closed = Storage({"gossip": disk()}, {"gossip": Store(None, "only root may look")})
    found = look("storage", storage=closed)
    assert (found.status, found.values["gossip_store_opens"]) == (OK, None)
    assert found.detail.endswith("; only root may look")


# Services


@pytest.mark.parametrize(
    ("unit", "status", "text"),
    [
        (Unit("activating", "auto-restart", "exit-code", 5, 3), FAIL,
         "miner ends again and again (exit-code, exit status 5)"),
        (Unit("failed", "failed", "watchdog", 6, 0), FAIL,
         "miner failed (watchdog, exit status 6)"),
        (Unit("inactive", "dead", "success", 0, 0), FAIL, "miner is not started"),
        (Unit("inactive", "dead", "success", 0, 0, unmet=True), FAIL,
         "miner waits: a condition of its unit is not met"),
        (Unit("activating", "start", "success", 0, 0), WARN, "miner is activating"),
        (Unit("active", "running", "success", 0, 5), WARN, "miner was restarted 5 times"),
        (Unit("active", "running", "success", 0, 4), OK, "at work"),
    ],
)  # fmt: skip
def test_a_unit_is_judged_by_its_state(box, look, unit, status, text):
    found = look("services", units={**box.units, "miner": unit})
    assert found.status is status
    assert text in found.detail
    assert ("a file must be mended" in found.hint) is (unit.status == 5)


@pytest.mark.parametrize(
    ("report", "status", "text"),
    [
        (None, FAIL, "trainer has not reported"),
        (LastReport("ok", 15.0, {}), FAIL, "trainer has been silent for 15 s"),
        (LastReport("ok", 14.9, {}), OK, "at work"),
        (LastReport("the model diverged", 1.0, {}), WARN, "trainer: the model diverged"),
    ],
)
def test_a_service_is_judged_by_its_report(look, report, status, text):
    found = look("services", node=node(services=reports(trainer=report)))
    assert found.status is status
    assert text in found.detail


def test_that_no_sensor_is_connected_is_no_fault_of_the_service(look):
    state = LastReport("no sensor is connected", 1.0, SAMPLING)
    assert look("services", node=node(services=reports(collector=state))).status is OK


def test_only_what_the_configuration_asks_for_is_missed(box, look, tmp_path):
    bare = settings(tmp_path, '[node]\nname = "gateway"\n')
    quiet = reports(collector=None, trainer=None, miner=None)
    units = {**box.units, "collector": SKIPPED, "trainer": SKIPPED, "miner": SKIPPED}
    found = look("services", settings=bare, node=node(services=quiet), units=units)
    assert (found.status, found.detail) == (OK, "gossip, exporter at work")
    # A box that was enrolled since it started: what nobody asks for still waits as it did then.
    waits = Unit("inactive", "dead", "success", 0, 0, unmet=True)
    units = {**units, "collector": waits, "trainer": waits}
    found = look("services", settings=bare, node=node(services=quiet), units=units)
    assert (found.status, found.detail) == (OK, "gossip, exporter at work")
    # On a developer's machine nobody started an exporter.
    found = look("services", settings=bare, node=node(services={}), units={})
    assert (found.status, found.detail) == (OK, "gossip at work")


def test_a_miner_with_a_network_is_sought_in_its_own_unit(box, look, tmp_path):
    pooled = settings(tmp_path, '[node]\nname = "bed-1"\n[miner]\nstratum = "0.0.0.0:3333"\n')
    units = {**box.units, "miner": SKIPPED, "pool": RUNNING}
    found = look("services", settings=pooled, units=units)
    assert (found.status, found.detail) == (OK, "gossip, miner, exporter at work")
    stopped = {**units, "pool": Unit("inactive", "dead", "success", 0, 0)}
    found = look("services", settings=pooled, units=stopped)
    assert (found.status, found.detail) == (FAIL, "pool is not started")
    found = look("services", settings=Unknown("broken"), units=units)
    assert found.values["expected"] == ("collector", "exporter", "gossip", "miner", "trainer")


def test_a_unit_that_fails_is_told_though_nobody_asked_for_it(box, look, tmp_path):
    bare = settings(tmp_path, '[node]\nname = "gateway"\n')
    failed = {**box.units, "miner": Unit("failed", "failed", "signal", 9, 0)}
    assert look("services", settings=bare, units=failed).status is FAIL


def test_with_a_broken_configuration_what_systemd_has_is_expected(box, look):
    units = {**box.units, "collector": SKIPPED}
    found = look("services", settings=Unknown("broken"), units=units)
    assert found.values["expected"] == ("exporter", "gossip", "miner", "trainer")


def test_a_node_that_does_not_answer_fails_once(look):
    found = look("services", node=Unknown("nobody listens"))
    assert (found.status, found.detail) == (FAIL, "gossip does not answer: nobody listens")


# Bluetooth


@pytest.mark.parametrize(
    ("adapters", "status", "text"),
    [
        ({"hci0": False, "hci1": True}, FAIL, "hci0 is switched off"),
        ({"hci1": True}, FAIL, "there is no adapter hci0; there are: hci1"),
        ({}, FAIL, "there is no adapter hci0; there is none"),
        (Unknown("no bus"), FAIL, "bluetoothd does not answer: no bus"),
        ({"hci0": True}, OK, "hci0 is powered"),
    ],
)
def test_the_adapter_that_the_collector_uses_must_be_powered(look, adapters, status, text):
    found = look("bluetooth", adapters=adapters)
    assert (found.status, found.detail) == (status, text)


def test_no_adapter_is_expected_where_nothing_is_collected(look, tmp_path):
    bare = settings(tmp_path, '[node]\nname = "gateway"\n')
    for name in ("bluetooth", "sensors"):
        found = look(name, settings=bare, adapters={})
        assert (found.status, found.detail[:12]) == (SKIP, "not expected")
    virtual = settings(
        tmp_path,
        '[node]\nname = "a"\n[collector]\nadapter = "bumble:tcp-client:h:1"\n'
        'sensors = ["F0:0E:00:00:00:01"]\n',
    )
    assert look("bluetooth", settings=virtual, adapters={}).status is SKIP


# Sensors


@pytest.mark.parametrize(
    ("values", "status", "text"),
    [
        ({"last_sample_timestamp_seconds": NOW - 59.0}, OK, "last sample 59 s ago"),
        ({"last_sample_timestamp_seconds": NOW - 60.0}, WARN, "no sample for 60 s"),
        ({"last_sample_timestamp_seconds": NOW - 900.0}, FAIL, "no sample for 15 min"),
        ({"last_sample_timestamp_seconds": NOW + 9.0}, OK, "last sample 0 s ago"),
        ({"connected_sensors": 1.0}, WARN, "1 of 2 sensors connected"),
        ({"dropped_samples_total": 1200.0}, WARN, "1,200 samples were given up"),
    ],
)
def test_sensors_are_judged_by_the_age_of_the_last_sample(look, values, status, text):
    report = LastReport("ok", 1.0, {**SAMPLING, **values})
    found = look("sensors", node=node(services=reports(collector=report)))
    assert found.status is status, found
    assert text in found.detail


@pytest.mark.parametrize("report", [None, LastReport("ok", 15.0, SAMPLING)])
def test_a_collector_that_is_silent_says_nothing_of_its_sensors(look, report):
    found = look("sensors", node=node(services=reports(collector=report)))
    assert (found.status, found.detail) == (SKIP, "the collector does not report")


def test_a_collector_that_has_just_begun_knows_no_sample_yet(look):
    report = LastReport("ok", 1.0, {})
    found = look("sensors", node=node(services=reports(collector=report)))
    assert (found.status, found.detail) == (WARN, "0 of 2 sensors connected")


# Peers


def test_a_node_without_a_peer_has_time_to_find_one(look):
    found = look("peers", node=node(peers=(), started=NOW - 119))
    assert found.status is WARN
    assert "10.0.0.7:7070 does not answer" in found.detail
    assert look("peers", node=node(peers=(), started=NOW - 120)).status is FAIL


def test_what_is_known_of_each_seed_is_told(look):
    seeds = (
        Seed("bed-2:7070", (), "is not found: Name or service not known"),
        Seed("10.0.0.7:7070", ("10.0.0.7",), "cannot be reached: Network is unreachable"),
    )
    found = look("peers", node=node(peers=()), seeds=seeds)
    assert found.status is FAIL
    assert "bed-2:7070 is not found: Name" in found.detail
    assert "10.0.0.7:7070 cannot be reached: Network" in found.detail
    assert found.values["seeds_unreachable"] == 2


def test_a_seed_that_nothing_can_be_sent_to_wants_a_look_though_there_are_peers(look):
    seeds = (Seed("10.0.0.7:7070", ("10.0.0.7",), ""), Seed("bed-2:7070", (), "is not found: x"))
    found = look("peers", seeds=seeds)
    assert (found.status, found.detail) == (WARN, "bed-2:7070 is not found: x")
    assert found.values["seeds_connected"] == 1


def test_a_seed_that_is_a_peer_is_known_by_its_address(look):
    peer = replace(PEER, address="[fd00::7]:7070")
    seeds = (Seed("bed-2:7070", ("10.0.0.9", "fd00::7"), ""),)
    found = look("peers", node=node(peers=(peer,)), seeds=seeds)
    assert (found.status, found.values["seeds_connected"]) == (OK, 1)


def test_a_node_that_is_alone_by_its_configuration_wants_a_look(look):
    assert look("peers", node=node(peers=()), seeds=()).status is WARN


# Chain


@pytest.mark.parametrize(
    ("age", "status", "text"),
    [
        (0, OK, "height 812, 0 s old"),
        (899, OK, "15 min old"),
        (900, WARN, "the last block is 15 min old; one comes every 90 s"),
        (2700, FAIL, "45 min old"),
        (-600, OK, "0 s old"),
        (-601, FAIL, "10 min ahead of this clock"),
    ],
)
def test_a_chain_is_judged_by_the_age_of_its_head(look, age, status, text):
    head = replace(node().status.head, time=NOW - age)
    found = look("chain", node=node(head=head))
    assert found.status is status
    assert text in found.detail


def test_a_node_that_catches_up_is_told_how_far_it_is(look):
    found = look("chain", node=node(syncing=True, best_header_height=900))
    assert (found.status, found.detail) == (WARN, "catching up, 88 blocks behind")


def test_a_clock_that_is_not_trusted_does_not_judge_the_chain(look):
    old = replace(node().status.head, time=5)
    untrusted = ClockStatus(False, "unsynchronised", "x")
    found = look("chain", node=node(head=old, clock=untrusted))
    assert (found.status, "cannot be told by this clock" in found.detail) == (OK, True)
    assert "head_age" not in found.values


def test_without_genesis_the_age_is_shown_and_not_judged(look):
    old = replace(node().status.head, time=NOW - 10**6)
    assert look("chain", node=node(head=old), ward=Unknown("no genesis")).status is OK


# Slots


@pytest.mark.parametrize(
    ("state", "status", "text"),
    [
        (boot(), OK, "A runs and was found healthy"),
        (boot(running=SlotRecord(SlotState.TRIAL, 1)), WARN, "A runs on trial"),
        (boot(running=EMPTY), FAIL, "A runs, but was given up"),
        (boot(other=SlotRecord(SlotState.TRIAL, 2), order=(Slot.B, Slot.A)), WARN,
         "the next start takes B"),
        (boot(other=SlotRecord(SlotState.TRIAL, 0), order=(Slot.B, Slot.A)), WARN,
         "B was tried, did not get healthy, and the box went back"),
        (Unknown("both files are torn"), FAIL, "the boot state: both files are torn"),
        (None, OK, "A runs"),
    ],
)  # fmt: skip
def test_a_slot_is_judged_by_the_boot_state(look, state, status, text):
    found = look("slot", slots=slots(boot=state))
    assert found.status is status
    assert text in found.detail


def test_rauc_must_answer_and_agree(look):
    assert look("slot", slots=slots(rauc=Unknown("no bus"))).status is WARN
    found = look("slot", slots=slots(booted="B"))
    assert (found.status, found.detail) == (FAIL, "RAUC believes that B runs, not A")


def test_a_machine_without_slots_is_no_appliance(look):
    found = look("slot", slots=None)
    assert (found.status, found.detail) == (SKIP, "not an appliance: it has no slots")


# The whole


@given(st.lists(st.sampled_from(Status)))
def test_the_worst_finding_counts(statuses):
    report = Report(tuple(Finding(str(n), status, "x") for n, status in enumerate(statuses)))
    expected = next((s for s in (FAIL, WARN) if s in statuses), OK)
    assert report.status is worst(report.findings) is expected
    assert report.ok is (expected is OK)


def test_the_worst_remark_speaks_first_and_a_hint_is_given_once():
    remarks = [Remark(WARN, "a", "do"), Remark(FAIL, "b", "do"), Remark(WARN, "c", "ask")]
    found = concluded("storage", remarks, "fine", {})
    assert (found.status, found.detail, found.hint) == (FAIL, "b; a; c", "do; ask")


def test_a_check_that_is_wrong_itself_does_not_hide_the_others(box, monkeypatch):
    def broken(_):
        raise ZeroDivisionError("no")

    monkeypatch.setitem(CHECKS, "peers", broken)
    found = {finding.name: finding for finding in examine(box).findings}
    assert found["peers"].status is FAIL
    assert "ZeroDivisionError: no" in found["peers"].detail
    assert [name for name, finding in found.items() if finding.status is not OK] == ["peers"]
