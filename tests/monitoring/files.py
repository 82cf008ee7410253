"""What the monitoring role installs, as read by its tests."""

import json
from pathlib import Path

import jinja2
import promql_parser
import yaml

from edgenode.exporter.metrics import METRICS

ROOT = Path(__file__).parents[2]
ROLE = ROOT / "ansible" / "roles" / "monitoring"
RULES = ROLE / "files" / "rules"
DASHBOARD = ROLE / "files" / "dashboards" / "edgenode.json"
RULE_TESTS = sorted((RULES / "tests").glob("*.yml"))

OF_PROMETHEUS = {"up", "ALERTS"}
"""Series that Prometheus makes itself."""


def read_yaml(path):
    return yaml.safe_load(path.read_text())


def rendered(template, **variables):
    """A YAML template of the role, filled in as Ansible does it.

    Args:
        template: Path within the role.
        variables: What differs from the role's defaults.
    """
    environment = jinja2.Environment(
        trim_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False
    )
    environment.filters["ansible.builtin.to_json"] = json.dumps
    defaults = read_yaml(ROLE / "defaults" / "main.yml")
    text = (ROLE / template).read_text()
    return yaml.safe_load(environment.from_string(text).render(**{**defaults, **variables}))


def rules_of(name):
    return [rule for group in read_yaml(RULES / name)["groups"] for rule in group["rules"]]


RECORDED = {rule["record"]: rule["expr"] for rule in rules_of("recording.yml")}
ALERTS = {rule["alert"]: rule for rule in rules_of("alerts.yml")}


def panels():
    """The dashboard's panels that show something, in order."""
    return [p for p in json.loads(DASHBOARD.read_text())["panels"] if p["type"] != "row"]


def queries():
    """Every query of every panel: the panel's title, the query's letter, and the query."""
    return [(p["title"], t["refId"], t) for p in panels() for t in p["targets"]]


def with_variables(expression, ward=".*", box=".*", window="1m"):
    """A query as Grafana sends it; by default all is chosen.

    Args:
        expression: With the dashboard's variables.
        ward: What is chosen for $ward.
        box: What is chosen for $box.
        window: What Grafana computes for $__rate_interval and $__range.
    """
    for name, value in (
        ("$ward", ward),
        ("$box", box),
        ("$__rate_interval", window),
        ("$__range", window),
    ):
        expression = expression.replace(name, value)
    assert "$" not in expression, f"an unknown variable in {expression}"
    return expression


def selectors(expression):
    """The series that an expression reads, as queries of their own, without offsets and ranges."""
    found = []

    def note(node):
        if isinstance(node, promql_parser.MatrixSelector):
            node = node.vector_selector
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node.prettify().partition(" offset ")[0])

    promql_parser.walk(promql_parser.parse(expression), note)
    assert found, f"{expression} reads nothing"
    return sorted(set(found))


def names(expression):
    """The metrics that an expression reads."""
    return {selector.partition("{")[0] for selector in selectors(expression)}


KNOWN = {metric.name for metric in METRICS} | set(RECORDED) | OF_PROMETHEUS
