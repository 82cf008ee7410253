"""A real Prometheus scrapes a real ward: every query and every rule finds data."""

import math
import re

import pytest

from demo.ward import LOOPBACK, free_ports
from edgenode.api.client import ApiError
from edgenode.mining.temperature import warmest
from edgenode.mining.thermal_zones import read_zones
from tests.monitoring.files import (
    ALERTS,
    RECORDED,
    panels,
    queries,
    selectors,
    with_variables,
)
from tests.monitoring.prometheus import watching
from tests.ward.wards import MODEL, start_mining, stop_mining, until, ward_of

pytestmark = [pytest.mark.processes, pytest.mark.timeout(900)]

WARD = "cardiology"

COMPARISON = re.compile(r"(?<=\s)(?:==|!=|<=|>=|<|>)(?=\s)")
"""Between its spaces; a matcher such as `job="edgenode"` has none."""

CANNOT = {
    "EdgenodeNoBoxes": "absent() of what is there is empty",
    "EdgenodeAccuracyFell": "compares with a day ago",
}
"""Alerts whose two sides have no data together, and why. Each selector of theirs has."""


@pytest.fixture(scope="module")
def ward(recorded):
    """Two boxes with all their services and sensors, and blocks every three seconds.

    The second one mines for the first one's pool.
    """
    with ward_of(
        2,
        people=[(1, 2), (3, 4)],
        recordings=recorded,
        services=("gossip", "collector", "trainer", "miner", "exporter"),
        spacing=3,
        trainer=("steps = 10",),
    ) as ward:
        host, guest = ward.boxes
        (port,) = free_ports(1)
        stop_mining(ward, ward.boxes)
        for box, line in (
            (host, f'stratum = "{LOOPBACK}:{port}"'),
            (guest, f'pool = ["{LOOPBACK}:{port}"]'),
        ):
            box.config.write_text(box.config.read_text().replace("[miner]", f"[miner]\n{line}"))
        start_mining(ward, ward.boxes)
        yield ward


@pytest.fixture(scope="module")
def prometheus(ward, tmp_path_factory):
    """Prometheus, once the boxes have trained and had something to refuse."""
    targets = [
        {
            "targets": [f"{LOOPBACK}:{box.metrics}"],
            "labels": {"instance": box.name, "ward": WARD},
        }
        for box in ward.boxes
    ]
    with watching(tmp_path_factory.mktemp("prometheus"), targets) as prometheus:
        until(
            lambda: len(prometheus.query("edgenode_trainer_accuracy_ratio")) == 2,
            "both boxes to measure the shared model",
        )
        until(
            lambda: len(prometheus.query("edgenode_trainer_updates_submitted_total > 0")) == 2,
            "both boxes to submit",
        )
        until(lambda: len(prometheus.query("edgenode_chain_height > 20")) == 2, "twenty blocks")
        until(lambda: len(prometheus.query("edgenode_chain_final_height > 0")) == 2, "finality")
        until(lambda: prometheus.query("edgenode_miner_pool_shares_total > 0"), "shares of a guest")
        yield prometheus


def numbers(found):
    """The values of a query's answer that are numbers."""
    values = [value for _, value in found]
    flat = [v for value in values for v in (value if isinstance(value, list) else [value])]
    return [value for value in flat if not math.isnan(value)]


def test_the_boxes_are_scraped_under_their_names(prometheus):
    found = {
        (t["labels"]["instance"], t["labels"].get("ward"), t["health"], t["lastError"])
        for t in prometheus.targets()
        if t["labels"]["job"] == "edgenode"
    }
    assert found == {("bed-1", WARD, "up", ""), ("bed-2", WARD, "up", "")}


def test_prometheus_evaluates_every_rule_without_error(prometheus):
    rules = until(
        lambda: (
            (rules := prometheus.rules())
            and all(rule["health"] != "unknown" for rule in rules)
            and rules
        ),
        "every rule to be evaluated",
    )
    assert [(r["name"], r["lastError"]) for r in rules if r["health"] != "ok"] == []
    assert len(rules) == len(RECORDED) + len(ALERTS)


@pytest.mark.parametrize("name", RECORDED)
def test_every_recorded_series_has_data(prometheus, name):
    until(lambda: numbers(prometheus.query(name)), f"data of {name}")
    for labels, _ in prometheus.query(name):
        assert labels["ward"] == WARD
        assert labels["job"] == "edgenode"
        assert ("instance" in labels) == name.startswith("instance:")


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_reads_series_that_are_there(prometheus, refusals, alert):
    for selector in selectors(ALERTS[alert]["expr"]):
        until(lambda s=selector: numbers(prometheus.query(s)), f"{alert}: data of {selector}")


@pytest.mark.parametrize("alert", sorted(set(ALERTS) - set(CANNOT)))
def test_both_sides_of_every_alert_meet(prometheus, refusals, alert):
    """What is compared is subtracted instead: data come of it exactly if both sides have any."""
    expression = COMPARISON.sub("-", ALERTS[alert]["expr"])
    until(lambda: numbers(prometheus.query(expression)), f"data of {expression}")


@pytest.mark.parametrize("alert", CANNOT)
def test_the_exceptions_are_needed(prometheus, alert):
    assert prometheus.query(COMPARISON.sub("-", ALERTS[alert]["expr"])) == []


@pytest.mark.parametrize(
    ("title", "letter", "target"),
    [pytest.param(*each, id=f"{each[0]}-{each[1]}") for each in queries()],
)
def test_every_query_of_the_dashboard_has_data(prometheus, refusals, title, letter, target):
    expression = with_variables(target["expr"])
    if "temperature" in expression and warmest(read_zones()) is None:
        pytest.skip("this machine, perhaps a virtual one, has no thermal zone")
    ask = prometheus.query if target.get("instant") else prometheus.query_range
    found = until(
        lambda: (found := ask(expression)) and numbers(found) and found,
        f"{title}: data of {expression}",
    )
    for label in re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", "")):
        assert all(labels.get(label) for labels, _ in found), f"a line has no {label}"


def test_the_variables_offer_the_ward_and_its_boxes(prometheus):
    assert prometheus.label_values("ward", 'up{job="edgenode"}') == [WARD]
    chosen = f'up{{job="edgenode",ward=~"{WARD}"}}'
    assert prometheus.label_values("instance", chosen) == ["bed-1", "bed-2"]


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_a_chosen_box_is_shown_alone(prometheus, refusals, panel):
    for target in panel["targets"]:
        found = prometheus.query(with_variables(target["expr"], ward=WARD, box="bed-2"))
        shown = {labels["instance"] for labels, _ in found if "instance" in labels}
        if "$box" in target["expr"]:
            assert shown <= {"bed-2"}
        nothing = prometheus.query(with_variables(target["expr"], ward="no such ward"))
        assert all(labels == {} and value == 0 for labels, value in nothing)


@pytest.fixture(scope="module")
def refusals(ward, prometheus):
    """The box that has refused some updates, which claimed more examples than anybody may."""
    box = ward.boxes[0]
    client = box.client

    def refused_more():
        base = client.parameters(MODEL)
        with pytest.raises(ApiError) as caught:
            client.submit_update(MODEL, base.block, 1 << 31, base.values)
        assert caught.value.name == "update_examples"
        return prometheus.query('increase(edgenode_refused_total{rule="update_examples"}[1h]) > 5')

    until(refused_more, "refusals to be seen", pause=1.0)
    return box


def test_an_alert_fires_and_the_dashboard_shows_it(prometheus, refusals):
    name = "EdgenodeBoxRefusesOften"
    until(
        lambda: (name, "firing") in {(n, state) for n, state, _ in prometheus.alerts()},
        f"{name} to fire",
    )
    shown = next(t["expr"] for title, _, t in queries() if title == "What is wrong now")
    (labels,) = [
        labels
        for labels, _ in prometheus.query(with_variables(shown))
        if labels["alertname"] == name
    ]
    assert labels["instance"] == refusals.name
    assert labels["rule"] == "update_examples"


def test_a_ward_that_is_well_has_no_alert_for_what_it_does_not_have(prometheus):
    wrong = {
        "EdgenodeNoBoxes", "EdgenodeWardDown", "EdgenodeBoxDown", "EdgenodeServiceSilent",
        "EdgenodeClockUntrusted", "EdgenodeNoPeers", "EdgenodeBoxBehind", "EdgenodeMinerIdle",
        "EdgenodeSamplesDropped", "EdgenodeSamplesDamaged", "EdgenodeTrainingDiverges",
        "EdgenodeFinalityStalled", "EdgenodeKeyNotEnrolled",
    }  # fmt: skip
    assert wrong <= set(ALERTS)
    assert wrong & {name for name, state, _ in prometheus.alerts() if state == "firing"} == set()


def test_a_service_and_a_box_that_end_are_noticed(ward, prometheus):
    """Last, because the ward is not whole afterwards."""
    one, other = ward.boxes
    ward.supervisor.stop([one.unit_name("miner")])
    ward.stop_box(other)

    def noticed(name, **labels):
        return any(
            each == name and labels.items() <= given.items()
            for each, _, given in prometheus.alerts()
        )

    until(
        lambda: noticed("EdgenodeServiceSilent", service="miner", instance=one.name),
        "the miner's silence",
    )
    until(lambda: noticed("EdgenodeBoxDown", instance=other.name, ward=WARD), "the box's silence")
    state = with_variables(next(t["expr"] for p, _, t in queries() if p == "Boxes over time"))
    assert {labels["instance"]: value for labels, value in prometheus.query(state)} == {
        one.name: 1,
        other.name: 0,
    }
