"""The exporter's HTTP server: what stands where."""

import threading
import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, Gauge

from edgenode.exporter.server import serve


@pytest.fixture
def ask():
    """Ask the server for a path: the status and the text."""
    registry = CollectorRegistry()
    Gauge("height", "A height.", registry=registry).set(7)
    server, thread = serve("127.0.0.1", 0, registry, lambda: None)

    def ask(path, method="GET"):
        url = f"http://127.0.0.1:{server.server_port}{path}"
        request = urllib.request.Request(url, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    yield ask
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("path", ["/metrics", "/metrics?name[]=height"])
def test_the_metrics_are_where_prometheus_looks(ask, path):
    status, text = ask(path)
    assert status == 200
    assert "height 7.0" in text.splitlines()


def test_a_person_at_the_root_is_told_where_they_are(ask):
    assert ask("/") == (200, "The metrics of this edgenode node are at /metrics.\n")


@pytest.mark.parametrize("path", ["/metric", "/metrics/", "/metrics/x", "/favicon.ico", "/%2e%2e"])
def test_there_is_nothing_elsewhere(ask, path):
    assert ask(path) == (404, "There is nothing here; the metrics are at /metrics.\n")


def test_nothing_can_be_posted(ask):
    assert ask("/metrics", "POST")[0] == 405


def test_each_turn_of_the_loop_that_accepts_connections_is_told():
    turns, told = [], threading.Semaphore(0)

    def on_turn():
        turns.append(threading.current_thread())
        told.release()

    server, thread = serve("127.0.0.1", 0, CollectorRegistry(), on_turn)
    for _ in range(2):  # idle
        assert told.acquire(timeout=60)
    server.shutdown()
    thread.join()
    assert set(turns) == {thread}, "another thread would tell so while the server hangs"
    server.server_close()
