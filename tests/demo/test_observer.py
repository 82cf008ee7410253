"""The demo shows what a box says, and what it does not say any more."""

import dataclasses
import re

import pytest
from rich.console import Console

from demo.observer import Observer, Sight
from demo.view import WIDE, LiveView, choose_view, table
from demo.ward import Box
from edgenode.api.client import NodeClient
from edgenode.api.shapes import ServiceReport
from edgenode.exporter.snapshot import UP_SECONDS
from edgenode.ledger.keys import MemberKey
from tests.api.ledger_node import LedgerNode

FULL = ["node", "height", "head", "round", "own held-out accuracy", "kH/s"]
FULL += ["updates sent", "peers", "windows"]
SHORT = ["node", "height", "head", "round", "own acc.", "updates", "windows"]


@pytest.fixture
def box(tmp_path):
    return Box("bed-1", tmp_path, MemberKey.generate(), sync=1, broadcast=2, metrics=3)


def shown(sight, width=200):
    console = Console(width=width)
    with console.capture() as captured:
        console.print(table([sight], wide=width >= WIDE))
    return captured.get()


@pytest.mark.parametrize(("width", "headings"), [(80, SHORT), (WIDE, FULL)])
def test_the_table_fits_its_terminal_uncut(width, headings):
    sight = Sight("bed-1", 9999, 48 * "0" + "1234567890abcdef", 9999, 1.0, 99e6, 99999, 99, 999999)
    text = shown(sight, width)
    _, _, head, _, row, _ = text.splitlines()
    assert re.split(r"\s+┃\s+", head.strip("┃ ")) == headings
    assert re.split(r"\s+│\s+", row.strip("│ "))[:5] == [
        "bed-1",
        "9999",
        "…90abcdef",
        "9999",
        "100.0 %",
    ]
    assert re.split(r"\s+│\s+", row.strip("│ "))[-1] == "999999"


def test_why_a_box_is_not_known_fits_a_narrow_terminal_uncut():
    assert "│ does not answer │" in shown(Sight("bed-1", trouble="does not answer"), 80)


def test_what_is_being_done_fits_a_narrow_terminal_uncut(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    with LiveView(28) as view:
        view.say("recordings played to their end; training goes on")
        view.show([Sight("bed-1")], 19)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("recordings played to their end; training goes on ")
    assert "19/28 blocks" in last


def test_the_progress_leaves_standard_output_to_a_json_document(capsys):
    with choose_view(28, json=True) as view:
        view.show([Sight("bed-1", trouble="starting")], 0)
    said = capsys.readouterr()
    assert said.out == ""
    assert "block 0 of 28; bed-1: starting" in said.err


def test_a_box_that_stops_answering_is_not_said_to_start(box, capsys):
    observer = Observer()
    assert "starting" in shown(observer.look(box))
    with LedgerNode().serving(box.api):
        assert observer.look(box).trouble is None
    silent = observer.look(box)
    assert "does not answer" in shown(silent)
    choose_view(28, json=False).show([silent], 0)
    assert "bed-1: does not answer" in capsys.readouterr().out


def test_values_that_a_service_has_not_said_lately_are_not_shown(box):
    observer = Observer()
    node = LedgerNode()
    with node.serving(box.api):
        client = NodeClient(box.api)
        client.report("miner", ServiceReport("ok", {"hash_rate": 1000.0}))
        client.report("trainer", ServiceReport("ok", {"accuracy": 0.5, "windows_total": 7.0}))
        fresh = observer.look(box)
        assert (fresh.hash_rate, fresh.accuracy, fresh.windows) == (1000.0, 0.5, 7)
        report, when = node.reports["trainer"]
        node.reports["trainer"] = (report, when - UP_SECONDS)
        later = observer.look(box)
    assert later == dataclasses.replace(fresh, accuracy=None, windows=None)
    assert re.search(r"│\s+-\s+│\s+1\s+│\s+-\s+│\s+1\s+│\s+-\s+│", shown(later))
