"""The exporter, as systemd starts it, read as Prometheus reads it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

from edgenode.api.client import NodeClient
from edgenode.api.report_values import REPORT_VALUES
from edgenode.api.shapes import ServiceReport
from tests.api.ledger_node import LedgerNode
from tests.ledger.builder import ALICE

pytestmark = pytest.mark.processes


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def port(tmp_path):
    port = free_port()
    (tmp_path / "edgenode.toml").write_text(
        f'[node]\nname = "bed-1"\napi = "node.sock"\n[exporter]\nlisten = "127.0.0.1:{port}"\n'
        '[trainer]\nmodel = "activity"\n'
    )
    return port


@contextmanager
def exporting(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-m", "edgenode.services.exporter", "--config", "edgenode.toml"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def scrape(port):
    end = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                assert answer.status == 200
                return answer.read().decode()
        except urllib.error.URLError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def test_prometheus_reads_a_node_that_comes_and_goes(tmp_path, port):
    node = LedgerNode()
    with exporting(tmp_path) as process:
        assert 'edgenode_service_up{service="gossip"} 0.0' in scrape(port)
        with node.serving(tmp_path / "node.sock"):
            node.grow(2)
            assert "edgenode_chain_height 2.0" in scrape(port)
            report = node.wait_for_report("exporter")
            assert report.values["scrapes_total"] >= 2
        text = scrape(port)
        assert 'edgenode_service_up{service="gossip"} 0.0' in text
        assert 'service="trainer"' in text
        assert 'service="collector"' not in text  # the configuration has none
        assert 'service="miner"' not in text  # nor this
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    assert "there is no socket" in errors


def test_promtool_finds_nothing_to_complain_of(tmp_path, port):
    promtool = shutil.which("promtool")
    if promtool is None:
        missing = "promtool is not installed (Debian's package prometheus)"
        assert not os.environ.get("EDGENODE_REQUIRE_TOOLS"), missing
        pytest.skip(missing)
    node = LedgerNode()
    node.round(ALICE)
    with node.serving(tmp_path / "node.sock"), exporting(tmp_path):
        client = NodeClient(tmp_path / "node.sock")
        for service, names in REPORT_VALUES.items():
            client.report(service, ServiceReport("ok", dict.fromkeys(names, 1.0)))
        text = scrape(port)
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_an_address_in_use_is_reported_with_the_key_to_change(tmp_path, port):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with exporting(tmp_path) as process:
            _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in errors
    assert "[exporter] listen" in errors
