"""The miner rests while its box is too warm, says so, and mines on when nothing can be read."""

import logging

import pytest

from edgenode.services.cooling import Cooling
from tests.mining.thermal import Thermal


class Box:
    def __init__(self, tmp_path):
        self.thermal = Thermal(tmp_path)
        self.held = []
        self.cooling = Cooling(70, self.held.append, self.thermal.root)

    def at(self, now, millidegrees):
        self.thermal.set(0, "cpu-thermal", f"{millidegrees}\n")
        self.cooling.look(now)
        return self.cooling.state


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path)


def test_it_rests_from_the_ceiling_on_until_it_is_five_degrees_cooler(box):
    states = [box.at(now, t) for now, t in enumerate((60_000, 69_999, 70_000, 65_001, 65_000))]
    resting = "too warm: resting (ceiling 70 °C)"
    assert states == ["ok", "ok", resting, resting, "ok"]
    assert box.held == [True, False]


def test_the_report_tells_the_temperature_and_how_long_it_rested(box):
    for now, millidegrees in ((100.0, 50_000), (105.0, 72_500), (110.0, 71_000), (114.0, 60_250)):
        box.at(now, millidegrees)
    assert box.cooling.values() == {"rested_seconds_total": 9.0, "temperature_celsius": 60.25}
    box.at(200.0, 60_000)
    assert box.cooling.values()["rested_seconds_total"] == 9.0


def test_each_change_is_logged_once(box, caplog):
    with caplog.at_level(logging.INFO):
        for now, millidegrees in enumerate((50_000, 75_000, 76_000, 74_000, 50_000, 50_000)):
            box.at(now, millidegrees)
    assert [record.message for record in caplog.records] == ["too warm: resting", "resting no more"]
    assert caplog.records[0].celsius == 75.0


def test_without_a_temperature_it_mines_on_and_says_once_that_nobody_watches(box, caplog):
    for now in range(3):
        box.cooling.look(now)
    assert box.cooling.state == "ok"
    assert box.cooling.values() == {"rested_seconds_total": 0.0}
    assert [(r.levelname, r.message) for r in caplog.records] == [
        ("WARNING", "no temperature to be read: the ceiling is not watched")
    ]
    assert box.held == []


def test_a_sensor_that_breaks_ends_the_rest(box):
    box.at(0.0, 90_000)
    box.at(5.0, "?")
    assert box.cooling.state == "ok"
    assert box.held == [True, False]
    assert box.cooling.values() == {"rested_seconds_total": 5.0}
