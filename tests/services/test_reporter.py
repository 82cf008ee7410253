"""A service reports while its loop comes round."""

import threading
import time

from edgenode.api.client import NodeClient
from edgenode.services import reporter
from edgenode.services.collector import Pulse
from edgenode.services.reporter import Heartbeat, Reporter
from tests.api.ledger_node import LedgerNode


def test_a_heartbeat_is_missed_when_the_last_one_is_too_long_ago():
    now = [100.0]
    heartbeat = Heartbeat(10.0, lambda: now[0])
    now[0] = 110.0
    assert not heartbeat.missed
    now[0] = 110.5
    assert heartbeat.missed
    heartbeat.beat()
    assert not heartbeat.missed


def test_a_service_whose_loop_hangs_does_not_report_until_it_comes_round(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(reporter, "INTERVAL_SECONDS", 0.01)
    now, asked = [0.0], threading.Semaphore(0)

    class Clock:
        def __call__(self):
            asked.release()
            return now[0]

    def round_trips(count):
        """Let the reporting thread look at the clock so many times."""
        while asked.acquire(blocking=False):
            pass
        for _ in range(count):
            assert asked.acquire(timeout=60)

    node, sent = LedgerNode(), [0]

    def read():
        sent[0] += 1
        return "ok", {"samples_total": float(sent[0])}

    heartbeat = Heartbeat(10.0, Clock())
    with (
        node.serving(tmp_path / "node.sock"),
        Reporter("collector", NodeClient(tmp_path / "node.sock"), read, heartbeat),
    ):
        node.wait_for_report("collector")
        now[0] = 11.0
        round_trips(2)
        before = sent[0]
        round_trips(3)
        assert sent[0] == before
        heartbeat.beat()
        node.wait_for_report("collector", lambda report: report.values["samples_total"] > before)
    assert caplog.text.count("the loop hangs") == 1


def test_the_time_of_the_last_sample_is_told_by_the_wall_clock():
    pulse = Pulse()
    before = time.time()
    pulse.beat({"connected_sensors": 1.0, "last_sample_age_seconds": 30.0})
    state, values = pulse.report()
    assert state == "ok"
    assert before - 30 <= values["last_sample_timestamp_seconds"] <= time.time() - 30
    assert "last_sample_age_seconds" not in values
