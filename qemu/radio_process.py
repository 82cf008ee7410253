"""The virtual radio of some machines, as a process of its own beside them."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from qemu.errors import QemuError
from qemu.patience import PROCESS_PATIENCE
from qemu.process import MORTAL
from qemu.radio import Place

RECORDINGS = Path("var/recordings.npz")


class RadioProcess:
    """`python -m qemu.radio`, which may be ended and started again while machines run."""

    def __init__(
        self,
        places: Sequence[Place],
        log: Path,
        *,
        recordings: Path = RECORDINGS,
        speed: float = 1.0,
        loop: bool = True,
    ) -> None:
        """Nothing runs yet.

        Args:
            places: One for each box, numbered from 1; it needs all of them to be on one link.
            log: File for what it has to complain of.
            recordings: What the wearables replay.
            speed: Times life.
            loop: Whether they begin again at the end.
        """
        self._log = log
        self._command = [*MORTAL, sys.executable, "-m", "qemu.radio", "--speed", str(speed)]
        self._command += ["--recordings", str(recordings), *([] if loop else ["--once"])]
        for place in places:
            self._command += ["--box", str(place)]
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> list[list[str]]:
        """Start it, and wait until it serves.

        Returns:
            For each box the addresses of its sensors.

        Raises:
            QemuError: It does not come up; the message has what it said.
        """
        if self._process is not None:
            raise QemuError("the radio runs already")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], PROCESS_PATIENCE)
        line = self._process.stdout.readline() if ready else ""
        if not line:
            self.stop()
            said = self._log.read_text(errors="replace").strip()
            raise QemuError(f"the virtual radio did not come up: {said or 'it said nothing'}")
        return [[str(sensor) for sensor in box["sensors"]] for box in json.loads(line)["boxes"]]

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it, by SIGKILL if need be: all sensors are out of reach."""
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(PROCESS_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None
