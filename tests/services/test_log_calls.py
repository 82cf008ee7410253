"""Every log call names an event by a constant text and gives its values as fields."""

import ast
import logging
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "edgenode"
LOGGERS = {"log", "_log", "logger"}
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
RESERVED = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "event"}
"""logging refuses to overwrite a record's own attributes; EDGENODE_EVENT is the text."""


def calls(tree):
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LEVELS
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in LOGGERS
        ):
            yield node


def faults(call):
    """What a log call does that it should not."""
    match call.args:
        case [ast.Constant(value=str(text))]:
            if "%" in text or "{" in text:
                yield "the text has a place for a value"
        case _:
            yield "the text is no constant, or values follow it"
    for keyword in call.keywords:
        if keyword.arg != "extra":
            yield f"{keyword.arg} is given"
        elif isinstance(keyword.value, ast.Dict):
            for key in keyword.value.keys:
                name = getattr(key, "value", None)
                if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name):
                    yield f"{name!r} is no name of a field"
                elif name in RESERVED:
                    yield f"{name} is an attribute of every record"


def faults_in(source):
    return [
        f"{call.lineno}: {fault}" for call in calls(ast.parse(source)) for fault in faults(call)
    ]


@pytest.mark.parametrize("room", sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py")))
def test_a_log_call_has_a_constant_text_and_fields(room):
    wrong = {
        str(path.relative_to(PACKAGE)): found
        for path in sorted((PACKAGE / room).rglob("*.py"))
        if (found := faults_in(path.read_text(encoding="utf-8")))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    "source",
    [
        'log.info("block %d", 1)',
        'log.info(f"block {n}")',
        "log.info(text)",
        'log.info("block", n)',
        'log.info("block", extra={"name": 1})',
        'log.info("block", extra={"Height": 1})',
        'log.info("block", extra={n: 1})',
    ],
)
def test_a_call_that_is_not_so_would_be_seen(source):
    assert faults_in(source)
    assert not faults_in('log.info("block found", extra={"height": 1})')
