"""The baselines in a process of their own, which yields to the ward."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.baselines import Row
from demo.interruption import undisturbed
from demo.supervisor import MORTAL


@dataclass(frozen=True, slots=True)
class Baselines:
    """What the baselines reached.

    Attributes:
        rows: The rounds that were done.
        cut_off: Whether the time was up before they had ended.
        failure: Why they ended before their last round, if that is not the reason.
    """

    rows: Sequence[Row]
    cut_off: bool = False
    failure: str | None = None


class BaselinesProcess:
    """Trains the baselines while the `with` block lasts."""

    def __init__(
        self,
        recordings: Path,
        people: Sequence[Sequence[int]],
        held_out: Sequence[int],
        rounds: int,
        log: Path,
    ) -> None:
        """Prepare; `people` are those of each box, `log` takes what goes wrong."""
        command = [*MORTAL, sys.executable, "-m", "demo.baselines"]
        command += ["--recordings", str(recordings), "--rounds", str(rounds)]
        command += ["--test", ",".join(map(str, held_out))]
        for each in people:
            command += ["--box", ",".join(map(str, each))]
        self._command = command
        self._log = log

    def __enter__(self) -> BaselinesProcess:
        """Start it."""
        self._output = tempfile.TemporaryFile("w+")
        with self._log.open("wb") as errors:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=errors,
                start_new_session=True,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )
        return self

    def finish(self, seconds: float) -> Baselines:
        """What they have reached by then."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        status = self._process.poll()
        self._output.seek(0)
        lines = [line for line in self._output if line.endswith("\n")]
        rows = [
            Row(row["round"], tuple(row["alone"]), row["central"]) for row in map(json.loads, lines)
        ]
        failure = f"the baselines ended with status {status}; see {self._log}" if status else None
        return Baselines(rows, cut_off=status is None, failure=failure)

    def __exit__(self, *_: object) -> None:
        """End it."""
        with undisturbed():
            self._process.kill()
            self._process.wait()
            self._output.close()
