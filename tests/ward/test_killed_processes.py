"""Any process of any box is killed at any moment, fifty times in a row; nothing is lost."""

import contextlib
import re
import threading
import time
from collections import Counter

import pytest

from demo.ward import SERVICES
from tests.ward.samples import SamplesRead
from tests.ward.wards import (
    NO_ANSWER,
    Fate,
    Program,
    agreed,
    asked,
    assert_no_update_counts_twice,
    assert_sound,
    chain_of,
    fate,
    grown,
    log_of,
    seeded,
    until,
    ward_of,
)

pytestmark = [pytest.mark.processes, pytest.mark.timeout(1200)]

KILLS = 50
SPACING = 3
"""Seconds. Each block brings each box up to four updates of 100 kB, on one machine: who was killed
must be able to catch up with the others."""
PEOPLE = ((1, 2), (3, 4), (5, 6), (7, 8))


class Witness:
    """Notes what one box acknowledges, as long as it runs.

    An update is acknowledged by the answer 202 to this witness's program, a block by its being
    served as the head, samples by being readable in the store (they are committed then) and by
    the count that the collector reports.
    """

    def __init__(self, box, seed):
        self.box = box
        self.program = Program(box, seed)
        self.heads = set()
        self.samples_reported = 0.0
        self.failure = None
        self._last_report = 0.0
        self._stopping = threading.Event()
        self._samples = SamplesRead(box)
        self._threads = [
            threading.Thread(target=self._watch, args=(look, pause))
            for look, pause in (
                (self._submit, 0.7),
                (self._look_at_head, 0.2),
                (self._look_at_samples, 0.5),
            )
        ]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _watch(self, look, pause):
        while not self._stopping.wait(pause):
            try:
                with contextlib.suppress(*NO_ANSWER):
                    look()
            except Exception as error:
                self.failure = error
                raise

    def _submit(self):
        self.program.submit()

    def _look_at_head(self):
        self.heads.add(self.box.client.head().id)

    def _look_at_samples(self):
        self._samples.read()
        report = self.box.client.services().get("collector")
        if report is None or "stored_samples_total" not in report.values:
            return  # the node was killed and has not heard from its collector yet
        stored = report.values["stored_samples_total"]
        # A collector that was killed counts from 0 again.
        self.samples_reported += stored - (
            self._last_report if stored >= self._last_report else 0.0
        )
        self._last_report = stored

    def assert_samples_are_there(self):
        seen, now = self._samples.records, SamplesRead(self.box).read()
        assert len(seen) > 0
        assert now[: len(seen)] == seen
        assert sum(samples for samples, _ in now) >= self.samples_reported > 0


def known_updates(ward, witness, where, last=None):
    """Check what became of the (last) updates that the box has acknowledged."""
    acknowledged = list(witness.program.acknowledged.items())
    fates = {
        update: fate(ward, witness.box, update, base)
        for update, base in acknowledged[-last if last else None :]
    }
    lost = [update for update, found in fates.items() if found is Fate.LOST]
    assert not lost, f"{witness.box.name} {where}: lost {lost}"
    return Counter(fates.values())


def acknowledged_blocks(box):
    """Ids of the blocks for which the box's miner got 201."""
    return set(re.findall(r"block found height=\d+ block=([0-9a-f]{64})", log_of(box, "miner")))


def test_any_process_killed_at_any_moment_fifty_times_loses_nothing(recorded):
    random = seeded("the kills")
    with (
        ward_of(
            4, people=PEOPLE, recordings=recorded, speed=15, services=SERVICES, spacing=SPACING
        ) as ward,
        contextlib.ExitStack() as stack,
    ):
        witnesses = [stack.enter_context(Witness(box, n)) for n, box in enumerate(ward.boxes)]
        grown(ward.boxes, 2)
        until(
            lambda: all(
                {"collector", "trainer", "miner", "exporter"} <= box.client.services().keys()
                for box in ward.boxes
            ),
            "all services to report",
        )
        kills = Counter()
        for _ in range(KILLS):
            witness = random.choice(witnesses)
            # The gossip service holds most of what can be lost: it dies as often as all others.
            service = random.choice(["gossip", random.choice(SERVICES[1:])])
            unit = ward.supervisor.unit(witness.box.unit_name(service))
            time.sleep(random.uniform(0.0, 1.0))
            starts = unit.starts
            until(lambda u=unit: u.process, "the process to run")
            ward.supervisor.kill(unit.name)
            until(lambda u=unit, s=starts: u.starts > s, f"{unit.name} to be started again")
            kills[unit.name] += 1
            if service == "gossip":
                asked(witness.box.client.head)
                known_updates(ward, witness, f"after kill {kills.total()}", last=6)
        grown(ward.boxes, 3)
        until(
            lambda: all(w.box.client.services()["trainer"].state == "ok" for w in witnesses),
            "all trainers to train",
        )
        stack.close()
        ward.supervisor.stop([box.unit_name("trainer") for box in ward.boxes])
        agreed(ward)

        assert [w.failure for w in witnesses] == [None] * 4
        fates = Counter()
        for witness in witnesses:
            box = witness.box
            fates += known_updates(ward, witness, "in the end")
            mined = acknowledged_blocks(box)
            assert witness.heads
            assert mined
            for block in witness.heads | mined:
                assert box.client.block(block).id == block
            witness.assert_samples_are_there()
            assert_sound(box)
            assert "damaged" not in log_of(box) + log_of(box, "collector")
        print(f"kills: {dict(kills)}; fates: {dict(fates)}")
        # How many depends on the load: a node that starts slowly misses rounds.
        assert fates[Fate.COUNTED] > fates.total() / 2, fates
        # Nothing ended but what was killed here, and nothing raised an error nobody foresaw.
        for unit in ward.supervisor.units():
            extra = unit.name.endswith("/miner")  # stopped and started to settle a tie
            assert unit.starts == 1 + kills[unit.name] or extra, unit.name
            assert "Traceback" not in unit.log.read_text()
        blocks = chain_of(ward.boxes[0])
        assert_no_update_counts_twice(blocks)
        assert {u.member for block in blocks for u in block.updates} == {
            box.key.public.hex() for box in ward.boxes
        }
