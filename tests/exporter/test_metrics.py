"""The metrics say what the node says, and hold the conventions."""

import re
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from edgenode.api.client import NodeClient
from edgenode.api.report_values import COLLECTOR_VALUES, REPORT_VALUES
from edgenode.api.shapes import REPORTING_SERVICES, VALUES_LIMIT, ClockStatus, ServiceReport
from edgenode.collector.counters import COUNTER_NAMES
from edgenode.exporter.manual import manual
from edgenode.exporter.metrics import METRICS
from edgenode.exporter.prometheus import NodeCollector
from edgenode.exporter.settings import ExporterSettings
from edgenode.gossip.ward_view import ward_of
from edgenode.services.collector import Pulse
from tests.api.ledger_node import PEER_ADDRESS, LedgerNode
from tests.conftest import require_tool
from tests.ledger.builder import ALICE, BOB, NOW, START

SERVICES = ("gossip", "collector", "trainer", "miner", "exporter")


@pytest.fixture
def node(tmp_path):
    node = LedgerNode()
    node.round(ALICE, BOB)
    with node.serving(tmp_path / "node.sock"):
        yield node


@pytest.fixture
def scrape(tmp_path):
    registry = CollectorRegistry()
    client = NodeClient(tmp_path / "node.sock")
    registry.register(NodeCollector(client, "0.1.0", SERVICES))
    return lambda: generate_latest(registry).decode()


def values(text):
    """Samples by name and sorted label values."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_nodes_status_becomes_metrics(node, scrape):
    got = values(scrape())
    status = node.run(node.status)
    assert got["edgenode_chain_height",] == 1
    assert got["edgenode_chain_block_interval_seconds",] == 90
    assert got["edgenode_chain_difficulty",] == status.head.difficulty
    assert got["edgenode_model_round", "activity"] == 1
    assert got["edgenode_model_block_examples", "activity"] == 100
    assert got["edgenode_gossip_peers",] == 1
    assert got["edgenode_gossip_slowest_round_trip_seconds",] == 0.004
    assert got["edgenode_gossip_datagrams_total", "sent", "sync"] == 1
    assert got["edgenode_gossip_bytes_total", "broadcast", "received"] == 9
    assert got["edgenode_gossip_longest_queue_seconds",] == 0.002
    assert got["edgenode_gossip_dropped_datagrams_total", "broadcast", "moved"] == 10
    assert got["edgenode_gossip_messages_total", "sent", "status"] == 3
    assert got["edgenode_gossip_messages_total", "chunk", "received"] == 2
    assert got["edgenode_gossip_resent_total", "offer"] == 1
    assert got["edgenode_chain_adoptions_total",] == 2
    assert got["edgenode_chain_adoption_seconds_total",] == 3.5
    assert got["edgenode_chain_last_adoption_seconds",] == 0.5
    assert got["edgenode_refused_total", "update_base_stale"] == 2
    assert got["edgenode_build_info", "0.1.0"] == 1
    assert got["edgenode_node_info", "0.1.0", "bed-1", "test ward"] == 1


def test_every_value_of_every_report_becomes_its_metric(node, scrape, tmp_path):
    client = NodeClient(tmp_path / "node.sock")
    for service in REPORTING_SERVICES:
        numbered = {name: float(n) for n, name in enumerate(REPORT_VALUES[service], 1)}
        client.report(service, ServiceReport("ok", numbered))
    got = values(scrape())
    for service in ("collector", "trainer", "miner"):
        shown = {v for (name, *_), v in got.items() if name.startswith(f"edgenode_{service}_")}
        assert shown >= set(map(float, range(1, len(REPORT_VALUES[service]) + 1)))
    assert got["edgenode_trainer_loss",] == 1.0 + list(REPORT_VALUES["trainer"]).index("loss")
    assert got["edgenode_miner_hashes_per_second",] == 2.0
    assert got["edgenode_exporter_scrapes_total",] == 1.0


def test_how_the_ward_stands_becomes_metrics(node, scrape):
    assert ("edgenode_chain_checkpoint_height",) not in values(scrape()), "there is none yet"
    node.grow(3)
    node.run(lambda: node.bench.endorse(ALICE, BOB))
    got = values(scrape())
    ward = node.run(lambda: ward_of(node.bench.chain, ALICE.public, NOW))
    assert got["edgenode_ward_members",] == got["edgenode_ward_voters",] == 3
    assert got["edgenode_chain_checkpoint_height",] == 4
    assert got["edgenode_chain_checkpoint_interval_blocks",] == 4
    assert got["edgenode_chain_checkpoint_endorsements",] == 2
    assert got["edgenode_chain_final_timestamp_seconds",] == START
    assert got["edgenode_member_window_blocks_limit",] == ward.blocks_limit
    assert got["edgenode_member_resting",] == 0


def test_all_metrics_of_the_manual_appear_when_all_is_well(node, scrape, tmp_path):
    node.grow(4)
    client = NodeClient(tmp_path / "node.sock")
    for service, names in REPORT_VALUES.items():
        client.report(service, ServiceReport("ok", dict.fromkeys(names, 1.0)))
    shown = {name for name, *_ in values(scrape())}
    assert shown == {metric.name for metric in METRICS}


def test_a_service_is_up_while_its_report_is_young(node, scrape, tmp_path):
    NodeClient(tmp_path / "node.sock").report("miner", ServiceReport("ok", {"hashes_total": 7}))
    got = values(scrape())
    up = {service: got["edgenode_service_up", service] for service in SERVICES}
    assert up == {"gossip": 1, "collector": 0, "trainer": 0, "miner": 1, "exporter": 1}
    report, when = node.reports["miner"]
    node.reports["miner"] = (report, when - 15)
    got = values(scrape())
    assert got["edgenode_service_up", "miner"] == 0
    assert ("edgenode_miner_hashes_total",) not in got


def test_the_time_of_the_last_sample_is_known_also_when_the_collector_is_down(
    node, scrape, tmp_path
):
    values_sent = {"last_sample_timestamp_seconds": 1.7e9, "connected_sensors": 1.0}
    NodeClient(tmp_path / "node.sock").report("collector", ServiceReport("ok", values_sent))
    report, when = node.reports["collector"]
    node.reports["collector"] = (report, when - 15)
    got = values(scrape())
    assert got["edgenode_service_up", "collector"] == 0
    assert got["edgenode_collector_last_sample_timestamp_seconds",] == 1.7e9
    assert ("edgenode_collector_connected_sensors",) not in got


def test_a_node_that_is_away_is_down_and_the_scrape_succeeds(scrape):
    got = values(scrape())
    assert {service: got["edgenode_service_up", service] for service in SERVICES} == {
        "gossip": 0, "collector": 0, "trainer": 0, "miner": 0, "exporter": 1,
    }  # fmt: skip
    assert ("edgenode_chain_height",) not in got


def test_a_node_that_comes_back_is_seen_at_the_next_scrape(scrape, tmp_path):
    assert values(scrape())["edgenode_service_up", "gossip"] == 0
    with LedgerNode().serving(tmp_path / "node.sock"):
        got = values(scrape())
    assert got["edgenode_service_up", "gossip"] == 1
    assert got["edgenode_exporter_scrapes_total",] == 2


def test_a_value_that_this_release_does_not_know_is_left_out(node, scrape, tmp_path):
    NodeClient(tmp_path / "node.sock").report("miner", ServiceReport("ok", {"temperature": 80}))
    assert "temperature" not in scrape()


def test_no_address_of_a_peer_or_a_sensor_appears(node, scrape):
    text = scrape()
    assert PEER_ADDRESS.partition(":")[0] not in text
    assert not re.search(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}", text)
    labels = {label for metric in METRICS for label in metric.labels}
    assert labels == {
        "version", "node", "ward", "service", "model", "socket", "direction", "kind", "reason",
        "rule",
    }  # fmt: skip


def test_names_occur_once_and_every_metric_has_help():
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))
    assert all(metric.help.endswith(".") for metric in METRICS)


def test_the_collectors_counters_are_the_values_of_its_report():
    pulse = Pulse()
    pulse.beat(dict.fromkeys(COUNTER_NAMES, 1.0))
    _, sent = pulse.report()
    assert set(sent) == set(COLLECTOR_VALUES)


def test_the_values_of_each_service_fit_a_report():
    assert set(REPORT_VALUES) == set(REPORTING_SERVICES)
    for names in REPORT_VALUES.values():
        assert len(names) <= VALUES_LIMIT
        ServiceReport("ok", dict.fromkeys(names, 0.0))


def test_the_manual_shows_prometheus_where_an_exporter_listens_by_default(tmp_path):
    shown = manual().split("```yaml\n")[1].split("```")[0]
    host, port = ExporterSettings().listen
    assert f'"{host}:{port}"' in shown
    promtool = require_tool("promtool", "prometheus")
    (tmp_path / "prometheus.yml").write_text(shown)
    subprocess.run([promtool, "check", "config", tmp_path / "prometheus.yml"], check=True)


def test_the_manual_is_made_from_the_metrics():
    committed = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert committed.read_text() == manual(), (
        "run: python -m edgenode.exporter.manual > docs/metrics.md"
    )


@pytest.mark.parametrize("trusted", [True, False])
def test_a_clock_that_is_not_trusted_is_told(node, scrape, trusted):
    node.clock = ClockStatus(trusted, "any state", "any reason")
    assert values(scrape())["edgenode_clock_trusted",] == trusted
