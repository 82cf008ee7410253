"""The demo shows what a box says, and what it does not say any more."""

import dataclasses
import re

import pytest
from rich.console import Console

from demo.observer import Observer
from demo.view import PlainView, table
from demo.ward import Box
from edgenode.api.client import NodeClient
from edgenode.api.shapes import ServiceReport
from edgenode.exporter.snapshot import UP_SECONDS
from edgenode.ledger.keys import MemberKey
from tests.api.ledger_node import LedgerNode


@pytest.fixture
def box(tmp_path):
    return Box("bed-1", tmp_path, MemberKey.generate(), sync=1, broadcast=2, metrics=3)


def shown(sight):
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table([sight]))
    return captured.get()


def test_a_box_that_stops_answering_is_not_said_to_start(box, capsys):
    observer = Observer()
    assert "starting" in shown(observer.look(box))
    with LedgerNode().serving(box.api):
        assert observer.look(box).trouble is None
    silent = observer.look(box)
    assert "does not answer" in shown(silent)
    PlainView(28).show([silent], 0)
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
