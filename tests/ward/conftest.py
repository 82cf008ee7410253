"""The recordings that boxes sense, and the logs of a test's ward when the test fails."""

from pathlib import Path

import pytest

from datasets import recordings
from demo.ward import Ward
from tests.ward.wards import last_lines

RECORDINGS = Path(__file__).parent.parent.parent / "var" / "recordings.npz"


@pytest.fixture(scope="session")
def recorded(tmp_path_factory):
    """File of the recordings."""
    if RECORDINGS.exists():
        return RECORDINGS
    path = tmp_path_factory.mktemp("recordings") / "recordings.npz"
    assert recordings.main(["--out", str(path)]) == 0
    return path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" and report.failed:
        for name, value in item.funcargs.items():
            if isinstance(value, Ward):
                report.sections.append((f"logs of {name}", last_lines(value)))
    return report
