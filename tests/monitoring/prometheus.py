"""Debian's Prometheus on the loopback address, with the configuration that the role installs."""

import json
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager

import yaml

from demo.supervisor import MORTAL
from demo.ward import LOOPBACK, free_ports
from tests.conftest import require_tool
from tests.monitoring.files import RULES, rendered

EVERY = "1s"
"""Between scrapes and evaluations; the role's 15 s would make the test long, not better."""

ANSWER_S = 30


class Prometheus:
    """A running server, asked over its HTTP API."""

    def __init__(self, url):
        self._url = url

    def query(self, expression):
        """Samples now: labels and value."""
        found = self._ask("query", query=expression)["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]

    def query_range(self, expression, seconds=60, step=5):
        """Series of the last minute: labels and values."""
        now = time.time()
        found = self._ask("query_range", query=expression, start=now - seconds, end=now, step=step)[
            "result"
        ]
        return [(each["metric"], [float(v) for _, v in each["values"]]) for each in found]

    def label_values(self, label, selector):
        """What Grafana's label_values gives."""
        return self._ask(f"label/{label}/values", **{"match[]": selector})

    def rules(self):
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def alerts(self):
        """Alerts that fire or wait: name, state, labels."""
        return [
            (each["labels"]["alertname"], each["state"], each["labels"])
            for each in self._ask("alerts")["alerts"]
        ]

    def targets(self):
        return self._ask("targets", state="active")["activeTargets"]

    def _ask(self, what, **parameters):
        url = f"{self._url}/api/v1/{what}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=ANSWER_S) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None


@contextmanager
def watching(directory, targets):
    """A Prometheus with the role's configuration and rules that scrapes these boxes.

    What differs from the role's: the intervals, and where its files lie.

    Args:
        directory: Empty; for its files.
        targets: What stands in the file of the boxes.
    """
    program = require_tool("prometheus", "prometheus")
    (port,) = free_ports(1)
    configuration = rendered("templates/prometheus.yml.j2", monitoring_listen=f"{LOOPBACK}:{port}")
    configuration["global"].update(
        scrape_interval=EVERY, evaluation_interval=EVERY, scrape_timeout=EVERY
    )
    configuration["rule_files"] = [f"{RULES}/*.yml"]
    (boxes,) = (job for job in configuration["scrape_configs"] if job["job_name"] == "edgenode")
    boxes["file_sd_configs"] = [{"files": [str(directory / "boxes.yml")]}]
    (directory / "boxes.yml").write_text(yaml.safe_dump(targets))
    (directory / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    log = directory / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *MORTAL,
                program,
                f"--config.file={directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address={LOOPBACK}:{port}",
            ],
            stdout=output,
            stderr=output,
        )
    try:
        url = f"http://{LOOPBACK}:{port}"
        _await_ready(url, process, log)
        yield Prometheus(url)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_ready(url, process, log):
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.2)
