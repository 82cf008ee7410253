"""The dashboard as a whole: its variables, and its rows from the most urgent down."""

from __future__ import annotations

import json

from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DatasourceVariable,
    QueryVariable,
    Row,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from monitoring import finality, mining, network, overview, pool, sensors, training
from monitoring.panels import DATASOURCE, JOB

UID = "edgenode"
"""Part of the dashboard's address, so that a link to it stays good."""

ROWS = (
    ("What matters now", overview.panels),
    ("Sensors", sensors.panels),
    ("Training", training.panels),
    ("Mining and chain", mining.panels),
    ("Finality and members", finality.panels),
    ("Pools", pool.panels),
    ("Network", network.panels),
)


def dashboard() -> Dashboard:
    """The dashboard."""
    board = (
        Dashboard("edgenode wards")
        .uid(UID)
        .description(
            "The boxes of all wards: what is wrong now, then sensors, training, mining, finality "
            "and members, pools, network."
        )
        .tags(["edgenode"])
        .readonly()  # what is changed by hand is lost at the next run of the playbook
        .time("now-6h", "now")
        .refresh("30s")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(
            _choice("ward", "Ward", f"label_values(up{{{JOB}}}, ward)", "Which wards to show.")
        )
        .with_variable(
            _choice(
                "box",
                "Box",
                f'label_values(up{{{JOB},ward=~"$ward"}}, instance)',
                "Which boxes of these wards to show.",
            )
        )
    )
    number = 1
    for title, panels in ROWS:
        board.with_row(Row(title).id(number))
        for panel in panels():
            number += 1
            board.with_panel(panel.id(number))
        number += 1
    return board


def dashboard_json() -> str:
    """The dashboard as Grafana reads it, the same bytes each time."""
    model = dashboard().build()
    return json.dumps(model, cls=JSONEncoder, sort_keys=True, indent=2) + "\n"


def _choice(name: str, label: str, query: str, description: str) -> QueryVariable:
    return (
        QueryVariable(name)
        .label(label)
        .description(description)
        .query(query)
        .datasource(DATASOURCE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
        # Also where the scrape configuration names no wards: then the label is empty.
        .all_value(".*")
        .current(VariableOption(selected=True, text=["All"], value=["$__all"]))
    )
