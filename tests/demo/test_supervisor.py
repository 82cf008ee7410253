"""The supervisor keeps processes running, and ends them in order."""

import sys

import pytest

from demo.supervisor import Supervisor, Unit
from demo.ward import MOST_STARTS, Ward, WardPlan
from tests.demo.demos import until

pytestmark = pytest.mark.processes

ORDERLY = """\
import signal, sys
from pathlib import Path
def end(*_):
    Path(sys.argv[1]).touch()
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture
def supervisor():
    one = Supervisor()
    yield one
    one.close()


def test_a_process_that_was_started_again_is_ended_as_politely_as_the_first(supervisor, tmp_path):
    """It was started by another thread, whose end must not be its own."""
    polite = tmp_path / "polite"
    unit = Unit("unit", [sys.executable, "-c", ORDERLY, str(polite)], tmp_path / "unit.log")

    def ready(times):
        return unit.log.exists() and unit.log.read_text().count("ready") == times

    supervisor.start(unit)
    until(lambda: ready(1), "the process")
    supervisor.kill("unit")
    until(lambda: ready(2), "the process to be started again")
    supervisor.close()
    assert polite.exists()


def test_a_service_that_ends_again_and_again_is_a_failure_with_its_log(tmp_path):
    ward = Ward(WardPlan(directory=tmp_path / "ward", people=[()], hash_rate=1000.0))
    log = tmp_path / "unit.log"
    try:
        ward.supervisor.start(Unit("bed-1/unit", ["false"], log))
        unit = ward.supervisor.unit("bed-1/unit")
        until(lambda: unit.starts > 1, "a second start")
        until(ward.failures, "the failure")
        assert ward.restarts() == {"bed-1/unit": unit.starts}
        (failure,) = ward.failures()
        assert unit.starts > MOST_STARTS
        assert failure.startswith("bed-1/unit: was started ")
        assert str(log) in failure
    finally:
        ward.close()


def test_a_service_that_was_started_again_once_is_no_failure(tmp_path):
    ward = Ward(WardPlan(directory=tmp_path / "ward", people=[()], hash_rate=1000.0))
    try:
        ward.supervisor.start(Unit("bed-1/unit", ["sleep", "infinity"], tmp_path / "unit.log"))
        unit = ward.supervisor.unit("bed-1/unit")
        ward.supervisor.kill("bed-1/unit")
        until(lambda: unit.starts == 2 and unit.process, "a second start")
        assert ward.restarts() == {"bed-1/unit": 2}
        assert ward.failures() == []
    finally:
        ward.close()
