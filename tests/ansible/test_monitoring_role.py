"""The watcher: Debian's Prometheus with the boxes as targets, and Grafana where there is one."""

import json

import pytest
import yaml

from tests.ansible.boxes import boxes
from tests.ansible.programs import HERE, changes
from tests.conftest import require_tool

WATCHER = "watcher"
WARDS = {
    "wards": {
        "hosts": {
            "bed-1": {"ansible_host": "10.0.3.11", "ward_name": "ward-3a"},
            "bed-2": {"ansible_host": "fd00::12", "ward_name": "ward-3b"},
            "bed-3": {},
        }
    }
}


class Watcher:
    def __init__(self, boxes, folder):
        self._boxes = boxes
        self._playbook = folder / "play.yml"
        play = [{"hosts": WATCHER, "gather_facts": False, "roles": [{"role": "monitoring"}]}]
        self._playbook.write_text(json.dumps(play))

    def run(self, *arguments, **variables):
        # The playbook stands elsewhere, so what group_vars/all.yml says is said here.
        given = {"monitoring_boxes": "wards", "node_offline": True, **variables}
        return self._boxes.run(self._playbook, *arguments, variables=given, groups=WARDS)

    def read(self, path):
        return self._boxes.read(WATCHER, path)

    def write(self, path, text):
        self._boxes.write(WATCHER, path, text)

    def exists(self, path):
        return self._boxes.path(WATCHER, path).exists()


@pytest.fixture(scope="module")
def watcher(tmp_path_factory):
    require_tool("promtool", "prometheus")
    folder = tmp_path_factory.mktemp("watcher")
    (folder / "boxes").mkdir()
    with boxes([WATCHER], folder / "boxes") as made:
        yield Watcher(made, folder)


@pytest.fixture(scope="module")
def converged(watcher):
    """The watcher, and what Ansible printed; promtool has accepted the settings by then."""
    done = watcher.run()
    assert done.returncode == 0, done.stdout
    return watcher, done


def test_prometheus_gets_each_box_with_its_name_and_ward(converged):
    watcher, _ = converged
    targets = yaml.safe_load(watcher.read("/etc/prometheus/edgenode/boxes.yml"))
    assert targets == [
        {"targets": ["10.0.3.11:9464"], "labels": {"instance": "bed-1", "ward": "ward-3a"}},
        {"targets": ["[fd00::12]:9464"], "labels": {"instance": "bed-2", "ward": "ward-3b"}},
        {"targets": ["bed-3:9464"], "labels": {"instance": "bed-3", "ward": ""}},
    ]
    settings = yaml.safe_load(watcher.read("/etc/prometheus/prometheus.yml"))
    jobs = {job["job_name"]: job for job in settings["scrape_configs"]}
    assert jobs["edgenode"]["file_sd_configs"] == [{"files": ["/etc/prometheus/edgenode/*.yml"]}]


def test_prometheus_gets_the_rules_and_not_their_tests(converged):
    watcher, _ = converged
    for file in (HERE / "roles/monitoring/files/rules").glob("*.yml"):
        assert watcher.read(f"/etc/prometheus/rules/edgenode/{file.name}") == file.read_text()
    assert not watcher.exists("/etc/prometheus/rules/edgenode/tests")


def test_a_second_run_and_a_check_change_nothing(converged):
    watcher, _ = converged
    assert changes(watcher.run()) == {WATCHER: 0}
    assert changes(watcher.run("--check")) == {WATCHER: 0}


def test_settings_that_prometheus_refuses_do_not_replace_those_it_has(converged):
    watcher, _ = converged
    before = watcher.read("/etc/prometheus/prometheus.yml")
    done = watcher.run(monitoring_alertmanagers=["http://not:a/target"])
    assert done.returncode != 0
    assert "not a valid hostname" in done.stdout
    assert watcher.read("/etc/prometheus/prometheus.yml") == before


def test_a_watcher_without_grafana_is_told_what_it_lacks(converged):
    watcher, done = converged
    assert not watcher.exists("/etc/grafana/provisioning/dashboards/edgenode.yml")
    assert "Grafana is not installed on watcher" in done.stdout


def test_grafana_gets_the_source_and_the_dashboards(watcher):
    watcher.write("/etc/grafana/grafana.ini", "")
    try:
        done = watcher.run()
        assert done.returncode == 0, done.stdout
        where = "/etc/grafana/provisioning"
        (source,) = yaml.safe_load(watcher.read(f"{where}/datasources/edgenode.yml"))["datasources"]
        assert source["url"] == "http://127.0.0.1:9090"
        (provider,) = yaml.safe_load(watcher.read(f"{where}/dashboards/edgenode.yml"))["providers"]
        for file in (HERE / "roles/monitoring/files/dashboards").glob("*.json"):
            shown = json.loads(watcher.read(f"{provider['options']['path']}/{file.name}"))
            assert shown == json.loads(file.read_text())
    finally:
        watcher._boxes.path(WATCHER, "/etc/grafana/grafana.ini").unlink()
