"""When a box counts as healthy."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.appliance.health import (
    Condition,
    HealthWatch,
    ServiceHealth,
    read_units,
)
from edgenode.appliance.units import UNITS

UNIT = """\
Id=edgenode-{name}.service
LoadState=loaded
ActiveState={state}
SubState={sub}
Result={result}
NRestarts={restarts}
"""


def _services(sick=(), restarts=0):
    return {
        name: ServiceHealth(Condition.SICK if name in sick else Condition.RUNS, restarts, "")
        for name in UNITS
    }


def test_sixty_seconds_without_a_break_are_healthy():
    watch = HealthWatch(60)
    assert not watch.observe(100, _services())
    assert not watch.observe(159, _services())
    assert watch.observe(160, _services())


@pytest.mark.parametrize("event", [_services(sick=["miner"]), _services(restarts=1)])
def test_a_failure_or_a_restart_begins_the_time_anew(event):
    watch = HealthWatch(60)
    watch.observe(0, _services())
    assert not watch.observe(59, event)
    after = _services(restarts=next(iter(event.values())).restarts)
    assert not watch.observe(61, after)
    assert watch.observe(121, after)


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=60))
def test_health_needs_the_whole_time(steps):
    watch, now, well_since = HealthWatch(60), 0, None
    for seconds, well in steps:
        now += seconds
        verdict = watch.observe(now, _services(sick=() if well else ["gossip"]))
        well_since = (now if well_since is None else well_since) if well else None
        assert verdict == (well_since is not None and now - well_since >= 60)


def test_units_are_read_as_systemctl_prints_them():
    text = "\n".join(
        UNIT.format(name=name, state=state, sub=sub, result=result, restarts=restarts)
        for name, state, sub, result, restarts in (
            ("collector", "inactive", "dead", "exec-condition", 0),
            ("trainer", "failed", "failed", "exit-code", 0),
            ("gossip", "active", "running", "success", 3),
            ("miner", "activating", "auto-restart", "watchdog", 7),
        )
    )
    services = read_units(text)
    assert services["collector"].condition is Condition.NOT_WANTED
    assert services["trainer"].condition is Condition.SICK
    assert services["gossip"] == ServiceHealth(Condition.RUNS, 3, "active (running, success)")
    assert services["miner"].condition is Condition.SICK
    assert services["miner"].restarts == 7
    # systemctl says nothing of it: no news is no good news
    assert services["exporter"].condition is Condition.SICK


@given(st.text())
def test_any_text_leaves_every_service_with_a_condition(text):
    assert set(read_units(text)) == set(UNITS)


def test_help_needs_no_box():
    done = subprocess.run(
        [sys.executable, "-m", "edgenode.appliance.health", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Confirm the running slot" in done.stdout
