"""Which boxes run, for commands that come later: a file in each box's directory."""

from __future__ import annotations

import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from qemu.errors import QemuError
from qemu.patience import PROCESS_PATIENCE, await_it
from qemu.ssh import OPERATOR, Ssh

_FILE = "box.json"


@dataclass(frozen=True, slots=True)
class Running:
    """A box that runs.

    Attributes:
        name: Its name.
        pid: Process of its QEMU.
        ssh_port: Port of 127.0.0.1 that leads to its SSH.
        key: Private SSH key.
        image: The image that its disk is a copy of.
        since: Unix seconds of its start.
        user: Account to log in with.
    """

    name: str
    pid: int
    ssh_port: int
    key: str
    image: str
    since: float
    user: str = OPERATOR

    @property
    def minutes(self) -> int:
        """How long it has been on."""
        return int((time.time() - self.since) / 60)

    def ssh(self, directory: Path) -> Ssh:
        """The way in.

        Args:
            directory: The box's.
        """
        return Ssh(directory, Path(self.key), lambda: self.ssh_port, self.user)


def enter(directory: Path, box: Running) -> None:
    """Note that a box runs."""
    (directory / _FILE).write_text(json.dumps(asdict(box), indent=2) + "\n")


def find(directory: Path) -> Running | None:
    """The box that runs with its files in this directory, if one does."""
    try:
        document = json.loads((directory / _FILE).read_text())
        box = Running(**document)
        where = Path(os.readlink(f"/proc/{box.pid}/cwd"))  # noqa: PTH115 - of another process
    except (OSError, ValueError, TypeError):
        return None
    # A number of a process may be used again, but not by one that is at home here.
    return box if where == directory.resolve() else None


def everything(root: Path) -> dict[Path, Running]:
    """All boxes that run below a directory, or in it, by their directories."""
    found = {path.parent: find(path.parent) for path in sorted(root.rglob(_FILE))}
    return {directory: box for directory, box in found.items() if box is not None}


def end(directory: Path, box: Running) -> None:
    """Take a box's power away and see that it is gone.

    Raises:
        QemuError: It is somebody else's, or does not go.
    """
    try:
        os.kill(box.pid, signal.SIGKILL)
    except PermissionError as error:
        raise QemuError(f"{box.name} belongs to somebody else (process {box.pid})") from error
    except ProcessLookupError:
        return
    await_it(
        lambda: None if find(directory) else True,
        PROCESS_PATIENCE,
        lambda: f"process {box.pid} of {box.name} does not end",
    )
