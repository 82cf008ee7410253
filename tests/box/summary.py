"""What a run of the guests' tests found, as a page: outcomes, times, and the figures they took."""

from __future__ import annotations

import platform
import time
from pathlib import Path

import pytest


class Summary:
    """A plugin of pytest that writes the page after each test: a full run takes hours.

    Figures are what tests give to pytest's `record_property`. Why a test failed is said at once.
    """

    def __init__(self, path: Path, config: pytest.Config) -> None:
        self._path = path
        self._config = config
        self._tests: set[str] = set()
        self._rows: dict[str, tuple[str, float]] = {}
        self._figures: list[tuple[str, object]] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Note which tests boot a guest; a report's keywords have the names of folders as well."""
        self._tests = {item.nodeid for item in session.items if item.get_closest_marker("qemu")}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a test's outcome, and the time that it and its fixtures took."""
        if report.nodeid not in self._tests:
            return
        outcome, seconds = self._rows.get(report.nodeid, ("passed", 0.0))
        if report.outcome != "passed":
            outcome = report.outcome
        if report.failed:
            self._say(report.longreprtext)
        self._rows[report.nodeid] = (outcome, seconds + report.duration)
        if report.when == "teardown":
            self._figures += [(str(name), value) for name, value in report.user_properties]
            self._write()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say where it is."""
        if self._rows:
            terminalreporter.write_line(f"summary: {self._path}")

    def _say(self, text: str) -> None:
        terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None:
            terminal.write(f"\n{text}\n", flush=True)

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(".part")
        part.write_text("\n".join([*self._lines(), ""]))
        part.replace(self._path)

    def _lines(self) -> list[str]:
        rows = {name: row for name, row in self._rows.items() if row[0] != "skipped"}
        passed = sum(outcome == "passed" for outcome, _ in rows.values())
        minutes = sum(seconds for _, seconds in rows.values()) / 60
        left_out = len(self._rows) - len(rows)
        lines = [
            "# The image in QEMU",
            "",
            f"{passed} of {len(rows)} tests passed in {minutes:.0f} min, "
            f"{time.strftime('%Y-%m-%d', time.gmtime())}, on {platform.machine()}; "
            f"{left_out} left out.",
            "",
            "| figure | value |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in self._figures),
            "",
            "| test | outcome | s |",
            "|---|---|---|",
        ]
        for name, (outcome, seconds) in rows.items():
            short = name.removeprefix("tests/").replace("|", "\\|")
            lines.append(f"| `{short}` | {outcome} | {seconds:.0f} |")
        return lines
