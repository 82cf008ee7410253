"""The logs of a test's ward, when the test fails."""

import pytest

from demo.ward import Ward
from tests.ward.wards import last_lines


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" and report.failed:
        for name, value in item.funcargs.items():
            if isinstance(value, Ward):
                report.sections.append((f"logs of {name}", last_lines(value)))
    return report
