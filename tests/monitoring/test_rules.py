"""The rules: promtool's own tests, and that nothing is left out of them."""

import re
import shutil
import subprocess
from itertools import pairwise

import pytest

from edgenode.exporter.manual import manual
from tests.conftest import require_tool
from tests.monitoring.files import (
    ALERTS,
    KNOWN,
    OF_PROMETHEUS,
    RECORDED,
    ROOT,
    RULE_TESTS,
    RULES,
    names,
    queries,
    read_yaml,
    rendered,
    with_variables,
)

ALL_RULES = {**RECORDED, **{name: rule["expr"] for name, rule in ALERTS.items()}}


def promtool(*arguments):
    program = require_tool("promtool", "prometheus")
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_finds_no_fault_in_the_rules():
    said = promtool("check", "rules", *RULES.glob("*.yml"))
    assert f"{len(ALERTS)} rules found" in said
    assert f"{len(RECORDED)} rules found" in said


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
def test_alerts_fire_and_stay_silent_as_promtool_tests_say(path):
    promtool("test", "rules", path)


def test_a_rule_that_is_broken_fails_its_promtool_test(tmp_path):
    shutil.copytree(RULES, tmp_path / "rules")
    alerts = tmp_path / "rules" / "alerts.yml"
    text = alerts.read_text()
    alerts.write_text(text.replace("edgenode_gossip_peers == 0", "edgenode_gossip_peers == 7"))
    assert alerts.read_text() != text
    with pytest.raises(AssertionError, match="EdgenodeNoPeers"):
        promtool("test", "rules", tmp_path / "rules" / "tests" / "network.yml")


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_is_seen_firing_and_silent(alert):
    expected = [
        case["exp_alerts"]
        for path in RULE_TESTS
        for test in read_yaml(path)["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == alert
    ]
    assert any(expected), "no test sees it fire"
    assert not all(expected), "no test sees it silent"


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_says_how_urgent_it_is_and_what_to_do(alert):
    rule = ALERTS[alert]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert 10 < len(rule["annotations"]["summary"]) < 100
    assert len(rule["annotations"]["description"]) > 100


def test_the_reason_for_each_waiting_time_stands_above_it():
    lines = (RULES / "alerts.yml").read_text().splitlines()
    unexplained = [
        line
        for before, line in pairwise(lines)
        if line.strip().startswith("for:") and not before.strip().startswith("#")
    ]
    assert unexplained == []


@pytest.mark.parametrize("rule", ALL_RULES)
def test_a_rule_reads_what_the_exporter_gives_or_another_rule_records(rule):
    assert names(ALL_RULES[rule]) <= KNOWN


def test_the_exporters_metrics_are_those_of_its_manual():
    documented = set(
        re.findall(r"^\|.*?`(edgenode_\w+)` \| (?:gauge|counter)", manual(), re.MULTILINE)
    )
    assert documented == KNOWN - set(RECORDED) - OF_PROMETHEUS


def test_whatever_is_recorded_is_used():
    read = {name for expression in ALL_RULES.values() for name in names(expression)}
    read |= {name for _, _, t in queries() for name in names(with_variables(t["expr"]))}
    assert set(RECORDED) - read == set()


def test_the_boxes_have_the_labels_that_the_rules_go_by():
    boxes = rendered(
        "root/etc/prometheus/edgenode/boxes.yml.j2",
        groups={"boxes": ["bed-1"]},
        hostvars={"bed-1": {"ansible_host": "10.0.0.7", "ward_name": "cardiology"}},
    )
    labels = {"instance": "bed-1", "ward": "cardiology"}
    assert boxes == [{"targets": ["10.0.0.7:9464"], "labels": labels}]


def test_the_manual_lists_each_alert_as_it_is():
    text = (ROOT / "docs" / "monitoring.md").read_text()
    listed = re.findall(r"^\| `(Edgenode\w+)` \| (\w+) \|.*?\| ([\w ]+) \|", text, re.MULTILINE)
    assert {name: (severity, wait) for name, severity, wait in listed} == {
        name: (rule["labels"]["severity"], rule.get("for", "at once"))
        for name, rule in ALERTS.items()
    }
    assert len(listed) == len(ALERTS)
