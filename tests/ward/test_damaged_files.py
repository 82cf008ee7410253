"""Stores that were cut short while a box was off, and configurations with a typo."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from demo.ward import SERVICES
from tests.ward.samples import SamplesRead
from tests.ward.wards import (
    Program,
    agreed,
    assert_same_chain_bit_for_bit,
    assert_sound,
    chain_path,
    fold_log,
    grown,
    height,
    learned,
    log_of,
    start_mining,
    until,
    ward_of,
)

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def ward():
    """Two boxes whose chain has some rounds; the first one's store is about to suffer."""
    with ward_of(2) as ward:
        grown(ward.boxes, 1)
        program = Program(ward.boxes[1], 1)
        for _ in range(6):
            learned(program)
        yield ward


CUTS = {
    "a page is missing": lambda size: size - 4096,
    "a third is missing": lambda size: size * 2 // 3,
    "two pages are left": lambda _: 8192,
    "the header breaks off": lambda _: 50,
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS.keys())
def test_a_chain_store_that_was_cut_short_is_salvaged_and_completed_by_the_others(ward, cut):
    start_mining(ward, ward.boxes)
    victim, other = ward.boxes
    grown(ward.boxes, 1)
    ward.stop_box(victim)
    path = chain_path(victim)
    size = fold_log(path)
    os.truncate(path, cut(size))
    before = set(path.parent.glob("chain.db.damaged-*"))
    logged = len(log_of(victim))
    ward.start_box(victim)
    until(victim.client.head, "the box to be back")
    text = log_of(victim)[logged:]
    assert "the chain's store is damaged" in text
    (aside,) = set(path.parent.glob("chain.db.damaged-*")) - before
    assert str(aside) in text
    assert aside.stat().st_size == cut(size)
    grown(ward.boxes, 1)
    agreed(ward)
    assert assert_same_chain_bit_for_bit(victim, other) == height(other)
    assert_sound(victim)
    assert "Traceback" not in text


def test_a_log_of_the_chain_store_that_was_cut_short_costs_only_what_was_in_it(ward):
    start_mining(ward, ward.boxes)
    victim, other = ward.boxes
    grown(ward.boxes, 2)
    ward.stop_box(victim, kill=True)
    wal = chain_path(victim).with_name("chain.db-wal")
    os.truncate(wal, wal.stat().st_size * 2 // 3)
    ward.start_box(victim)
    grown(ward.boxes, 2)
    agreed(ward)
    assert_same_chain_bit_for_bit(victim, other)
    assert_sound(victim)


def test_a_sample_store_that_was_cut_short_is_salvaged_and_collecting_goes_on(recorded):
    with ward_of(
        1, people=[(1, 2)], recordings=recorded, speed=20, services=("collector",)
    ) as ward:
        (box,) = ward.boxes
        unit = ward.supervisor.unit(box.unit_name("collector"))
        path = box.directory / "state" / "samples" / "samples.db"

        def stored():
            return sum(samples for samples, _ in SamplesRead(box).read())

        for cut in CUTS.values():
            enough = (stored() if path.exists() else 0) + 2000
            until(lambda n=enough: path.exists() and stored() > n, "samples to be stored")
            ward.supervisor.stop([unit.name])
            seen = SamplesRead(box).read()
            size = fold_log(path)
            os.truncate(path, cut(size))
            logged = len(log_of(box, "collector"))
            ward.supervisor.start(unit)
            until(
                lambda n=logged: "was damaged" in log_of(box, "collector")[n:],
                "the damage to be noticed",
            )
            text = log_of(box, "collector")[logged:]
            aside = Path(text.split(" damaged=")[1].split()[0])
            assert aside.stat().st_size == cut(size)
            legible = SamplesRead(box).read()
            kept = [record for record in legible if record in set(seen)]
            assert kept == [record for record in seen if record in set(kept)]
            assert cut(size) < size // 2 or len(kept) > len(seen) // 3
            before = stored()
            until(lambda n=before: stored() > n + 500, "new samples to be stored")
            assert "Traceback" not in text


TYPOS = {
    "a key": ("[miner]\nthreads", "[miner]\nthreds", 'did you mean "threads"?'),
    "a table": ("[gossip]", "[gosip]", 'did you mean "gossip"?'),
}


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("typo", TYPOS)
def test_a_typo_in_the_configuration_ends_each_service_with_the_right_name(service, typo):
    right, wrong, hint = TYPOS[typo]
    with ward_of(1, start=False) as ward:
        (box,) = ward.boxes
        ward.configure(box)
        text = box.config.read_text()
        assert right in text
        box.config.write_text(text.replace(right, wrong))
        program = Path(sys.executable).with_name(f"edgenode-{service}")
        ended = subprocess.run(
            [program, "--config", box.config],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ended.returncode == 5
        assert hint in ended.stderr
        assert f"{box.config}:" in ended.stderr, "the line is named"
        assert "Traceback" not in ended.stderr
        assert not (box.directory / "state").exists()


def test_a_service_with_a_wrong_configuration_is_not_started_again_until_it_is_right():
    with ward_of(1, start=False, services=("gossip",)) as ward:
        (box,) = ward.boxes
        ward.configure(box)
        box.config.write_text(box.config.read_text().replace("[gossip]", "[gosip]"))
        ward.start_box(box)
        (failure,) = until(ward.supervisor.failures, "the supervisor to give up")
        assert "ended with status 5" in failure
        assert ward.supervisor.unit(box.unit_name("gossip")).starts == 1
        ward.configure(box)
        ward.start_box(box)
        until(box.client.head, "the box to answer")
