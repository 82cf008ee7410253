"""The dashboard: made by the program, sound by Grafana's model, and readable."""

import json
import re
from itertools import pairwise

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as grafana
from grafana_foundation_sdk.models import units

from monitoring.dashboard import dashboard_json
from tests.monitoring.files import (
    DASHBOARD,
    KNOWN,
    ROOT,
    names,
    panels,
    queries,
    with_variables,
)

WIDTH = 24
SCHEMA = 41
"""The version of Grafana 11.6, the SDK's. Later ones read it and bring it up to theirs."""


@pytest.fixture(scope="module")
def board():
    return json.loads(DASHBOARD.read_text())


def test_the_committed_dashboard_is_what_the_program_makes():
    assert DASHBOARD.read_text() == dashboard_json(), (
        "run: python -m monitoring > ansible/roles/monitoring/files/dashboards/edgenode.json"
    )


def test_grafanas_model_takes_all_of_it_and_loses_nothing(board):
    register_default_plugins()
    model = grafana.Dashboard.from_json(board)
    assert json.loads(json.dumps(model, cls=JSONEncoder)) == board


def test_a_field_that_the_model_does_not_know_would_be_seen(board):
    register_default_plugins()
    spoiled = json.loads(json.dumps(board))
    spoiled["panels"][1]["fieldConfig"]["defaults"]["untit"] = "s"
    model = grafana.Dashboard.from_json(spoiled)
    assert json.loads(json.dumps(model, cls=JSONEncoder)) != spoiled


def test_it_is_of_the_schema_that_the_documents_name(board):
    assert board["schemaVersion"] == SCHEMA
    assert board["uid"] == "edgenode"


def test_numbers_are_used_once(board):
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_panels_fill_the_grid_and_do_not_lie_on_each_other(board):
    taken = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not taken & cells, f"{panel['title']} lies on another panel"
        taken |= cells
    lines = {y for _, y in taken}
    assert {x for x, _ in taken} == set(range(WIDTH))
    assert len(taken) == WIDTH * len(lines), "there is a hole"


def test_what_a_person_looks_at_first_stands_on_top(board):
    tops = [panel["gridPos"]["y"] for panel in board["panels"]]
    assert all(one <= next_one for one, next_one in pairwise(tops))
    rows = [panel["title"] for panel in board["panels"] if panel["type"] == "row"]
    assert rows == [
        "What matters now", "Sensors", "Training", "Mining and chain", "Finality and members",
        "Pools", "Network",
    ]  # fmt: skip
    assert board["panels"][1]["title"] == "Alerts"


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: panel["title"])
def test_each_panel_explains_itself(panel):
    known = {value for name, value in vars(units).items() if not name.startswith("_")}
    assert len(panel["description"]) > 30
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
    letters = [target["refId"] for target in panel["targets"]]
    assert len(set(letters)) == len(letters)
    if panel["type"] == "timeseries":
        assert panel["fieldConfig"]["defaults"]["unit"] in known
        assert panel["fieldConfig"]["defaults"]["custom"]["axisLabel"]
        assert all("{{" in target["legendFormat"] for target in panel["targets"])
    if panel["type"] == "stat":
        assert panel["fieldConfig"]["defaults"]["unit"] in known
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert len(steps) > 1
        assert steps[0]["value"] is None


@pytest.mark.parametrize(
    ("title", "letter", "target"),
    queries(),
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_query_names_known_metrics_and_keeps_to_the_chosen_wards(title, letter, target):
    expression = target["expr"]
    assert names(with_variables(expression)) <= KNOWN
    for selector in re.findall(r"\{([^}]*)\}", expression):
        assert 'job="edgenode"' in selector
        assert 'ward=~"$ward"' in selector


def test_the_variables_choose_wards_and_their_boxes(board):
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert list(variables) == ["datasource", "ward", "box"]
    for name in ("ward", "box"):
        assert variables[name]["allValue"] == ".*"
        assert variables[name]["current"]["value"] == ["$__all"]
    assert 'ward=~"$ward"' in variables["box"]["query"]


def test_the_manual_knows_how_many_panels_there_are():
    assert f"{len(panels())} panels" in (ROOT / "docs" / "monitoring.md").read_text()
