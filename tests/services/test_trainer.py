"""The trainer at a node: what it trains from, what it submits, and what it says of itself."""

import sqlite3
import threading
from contextlib import contextmanager

import numpy as np
import pytest

from edgenode.api.client import NodeClient
from edgenode.services import reporter
from edgenode.services import trainer as service
from edgenode.services.reporter import Reporter
from edgenode.services.trainer import Trainer
from edgenode.storage.samples import SampleStore
from edgenode.tasks.registry import find_task
from edgenode.tasks.stream import Annotation, SampleBlock
from edgenode.training.settings import TrainerSettings
from tests.api.ledger_node import LedgerNode
from tests.api.unix_server import Reply

TASK = find_task("activity")
GENESIS = (TASK.genesis_parameters() * 2.0**-24).astype("<f4").tobytes()


class Node(LedgerNode):
    """A node whose model is the real one, and whose head can be told later than it is known.

    The chain's own model is a small one; only its blocks' names and heights are used.
    """

    def __init__(self):
        super().__init__()
        self.told = None
        self.asked = 0

    def head_id(self):
        return self.run(self._head_name)

    def _answer(self, request, parts):
        reply = super()._answer(request, parts)
        if parts[-1] == "parameters":
            self.asked += 1
            return Reply(body=GENESIS, headers=reply.headers)
        return reply

    def head(self):
        head = super().head()
        return head if self.told is None else type(head)(**{**_fields(head), "id": self.told})

    def bases(self):
        return [request.query["base"] for request in self.updates]


class EndedError(Exception):
    """The test has seen enough."""


def _fields(record):
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """Reports that come often."""
    monkeypatch.setattr(reporter, "INTERVAL_SECONDS", 0.02)


@pytest.fixture
def samples(tmp_path):
    """A store with ten minutes of an exercise."""
    path = tmp_path / "samples" / "samples.db"
    store = SampleStore.open(path, max_bytes=1 << 30)
    values = np.random.default_rng(1).integers(-9000, 9000, (30_000, 6)).astype(np.int16)
    blocks = [SampleBlock(1, n, values[n : n + 500]) for n in range(0, 30_000, 500)]
    store.append([Annotation(1, 0, 1), *blocks])
    store.close()
    return path


@pytest.fixture
def node(tmp_path):
    node = Node()
    with node.serving(tmp_path / "node.sock"):
        yield node


@contextmanager
def training(tmp_path, samples, **settings):
    """A trainer at work in a thread; an exception ends it as SIGTERM ends the service."""
    client = NodeClient(tmp_path / "node.sock")
    trainer = Trainer(TrainerSettings("activity", samples, **{"steps": 3, **settings}), client)
    ended = threading.Event()

    beat = trainer.heartbeat.beat

    def beat_or_end():
        if ended.is_set():
            raise EndedError
        beat()

    trainer.heartbeat.beat = beat_or_end

    def run():
        with pytest.raises(EndedError):
            trainer.run()

    thread = threading.Thread(target=run)
    with Reporter("trainer", client, trainer.report, trainer.heartbeat):
        trainer._heads.wait(None, 60)
        thread.start()
        try:
            yield trainer
        finally:
            ended.set()
            thread.join()


def test_it_trains_once_from_each_head(node, samples, tmp_path):
    with training(tmp_path, samples):
        first = node.head_id()
        node.wait_for_report("trainer", lambda r: r.values["updates_submitted_total"] == 1)
        node.grow(1)
        node.wait_for_report("trainer", lambda r: r.values["updates_submitted_total"] == 2)
        report = node.wait_for_report("trainer", lambda r: r.values["adopted_height"] == 1)
    assert report.state == "ok"
    assert node.bases() == [first, node.head_id()]


def test_a_trainer_that_diverges_says_so_until_a_round_succeeds(node, samples, tmp_path):
    with training(tmp_path, samples, learning_rate=1e38) as trainer:
        node.wait_for_report("trainer", lambda r: r.values["diverged_rounds_total"] == 1)
        beaten = trainer.heartbeat._last
        for _ in range(3):
            del node.reports["trainer"]
            report = node.wait_for_report("trainer", lambda _: trainer.heartbeat._last > beaten)
            assert "diverged" in report.state
        assert node.updates == []
        trainer._online._schedule = TASK.schedule
        node.grow(1)
        report = node.wait_for_report("trainer", lambda r: r.values["rounds_total"] == 1)
        node.wait_for_report("trainer", lambda r: r.state == "ok")
        assert report.values["diverged_rounds_total"] == 1


def test_a_head_that_is_told_late_is_not_trained_from_again(node, samples, tmp_path, monkeypatch):
    monkeypatch.setattr(service, "IDLE_SECONDS", 0.01)
    first = node.head_id()
    with training(tmp_path, samples):
        node.wait_for_report("trainer", lambda r: r.values["updates_submitted_total"] == 1)
        node.told = "ab" * 32  # neither the head that was trained from nor the one that is
        node.grow(1)
        node.wait_for_report("trainer", lambda r: r.values["updates_submitted_total"] == 2)
        asked = node.asked
        node.wait_for_report("trainer", lambda _: node.asked > asked + 10)
    assert node.bases() == [first, node.head_id()]


def test_damaged_and_misplaced_records_are_reported(node, samples, tmp_path):
    connection = sqlite3.connect(samples)
    connection.execute("UPDATE records SET data = zeroblob(length(data)) WHERE id IN (7, 8)")
    connection.commit()
    connection.close()
    store = SampleStore.open(samples, max_bytes=1 << 30)
    store.append([SampleBlock(1, 100, np.ones((500, 6), np.int16))])
    store.close()
    with training(tmp_path, samples):
        report = node.wait_for_report("trainer", lambda r: r.values["misplaced_records_total"])
    assert report.values["misplaced_records_total"] == 1
    assert report.values["damaged_records_total"] == 2


def test_the_head_is_looked_at_between_reads_of_a_long_store(node, samples, tmp_path, monkeypatch):
    monkeypatch.setattr(service, "RECORDS_AT_ONCE", 4)
    with training(tmp_path, samples, steps=40):
        report = node.wait_for_report("trainer", lambda r: r.values["windows_total"] > 300)
    assert node.bases() == [node.head_id()]
    assert report.values["examples"] < 100  # of what had been read by then


def test_a_round_that_the_node_cannot_sign_yet_is_held_and_handed_in_later(
    node, samples, tmp_path, monkeypatch
):
    monkeypatch.setattr(service, "IDLE_SECONDS", 0.01)
    node.update_refusals = [(503, "clock_untrusted")] * 100_000
    with training(tmp_path, samples):
        node.wait_for_report("trainer", lambda r: "clock_untrusted: so it was set" in r.state)
        node.update_refusals[:] = [(507, "full")] * 5
        report = node.wait_for_report(
            "trainer", lambda r: r.values["updates_submitted_total"] == 1 and r.state == "ok"
        )
    assert report.values["rounds_total"] == 1
    assert node.bases() == [node.head_id()]


def test_a_held_round_that_has_become_too_old_is_given_up(node, samples, tmp_path, monkeypatch):
    monkeypatch.setattr(service, "IDLE_SECONDS", 0.01)
    node.update_refusals = [(503, "clock_untrusted"), (422, "update_base_stale")]
    with training(tmp_path, samples):
        node.wait_for_report(
            "trainer", lambda r: r.values["updates_refused_total"] == 1 and r.state == "ok"
        )
        node.grow(1)
        report = node.wait_for_report("trainer", lambda r: r.values["updates_submitted_total"] == 1)
    assert report.values["rounds_total"] == 2
    assert node.bases() == [node.head_id()]


def test_a_trainer_whose_updates_break_a_rule_says_so_until_one_is_taken(node, samples, tmp_path):
    node.update_refusals = [(422, "update_member")]
    with training(tmp_path, samples):
        node.wait_for_report("trainer", lambda r: "update_member" in r.state)
        node.grow(1)
        node.wait_for_report("trainer", lambda r: r.state == "ok")


def test_an_update_of_the_box_that_another_program_submitted_is_no_trouble(node, samples, tmp_path):
    node.update_refusals = [(422, "update_repeated")]
    with training(tmp_path, samples):
        node.wait_for_report(
            "trainer", lambda r: r.values["updates_refused_total"] == 1 and r.state == "ok"
        )


def test_a_round_that_the_node_never_takes_is_not_held_for_ever(
    node, samples, tmp_path, monkeypatch
):
    monkeypatch.setattr(service, "IDLE_SECONDS", 0.01)
    node.update_refusals = [(409, "base_unknown")]
    with training(tmp_path, samples):
        report = node.wait_for_report("trainer", lambda r: r.values["updates_submitted_total"] == 1)
    assert report.values["rounds_total"] == 2
