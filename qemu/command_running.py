"""`python -m qemu status`, `ssh` and `stop`: boxes that another command started."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from qemu import register
from qemu.errors import QemuError
from qemu.progress import say
from qemu.register import Running

_STATUS_PATIENCE = 60.0
_NONE = "no box runs: python -m qemu boot starts one"


def status(options: argparse.Namespace) -> int:
    """Show what runs, and what the nodes say of themselves; the exit status."""
    running = register.everything(options.directory)
    if not running:
        print(_NONE)
    for directory, box in running.items():
        print(
            f"{box.name}: on for {box.minutes} min, process {box.pid}, SSH on port {box.ssh_port} "
            f"of 127.0.0.1, files in {directory}"
        )
        try:
            said = box.ssh(directory).run("edgenode status", patience=_STATUS_PATIENCE, check=False)
            text = said.stdout + said.stderr
        except QemuError as error:
            text = str(error)
        print("".join(f"  {line}\n" for line in text.splitlines()))
    return 0


def ssh(options: argparse.Namespace) -> int:
    """Give the person a shell on a box, or run a command on it; the exit status.

    Raises:
        QemuError: It does not run.
    """
    directory, box = _pick(register.everything(options.directory), options.name)
    words = ["--", *options.words] if options.words else []
    tty = not words and sys.stdin.isatty()
    return subprocess.call(box.ssh(directory).command(*words, tty=tty), cwd=directory)


def stop(options: argparse.Namespace) -> int:
    """Take the power of boxes away and remove their disks; the exit status.

    Raises:
        QemuError: One does not run, or does not end.
    """
    running = register.everything(options.directory)
    chosen = (
        dict(_pick(running, name) for name in options.names) if options.names else dict(running)
    )
    if not chosen:
        print(_NONE)
    for directory, box in chosen.items():
        register.end(directory, box)
        shutil.rmtree(directory)
        say(f"{box.name} is off, and its disk is removed")
    return 0


def _pick(running: dict[Path, Running], name: str | None) -> tuple[Path, Running]:
    if not running:
        raise QemuError(_NONE)
    names = ", ".join(box.name for box in running.values())
    if name is None:
        if len(running) > 1:
            raise QemuError(f"which box? {names} run")
        return next(iter(running.items()))
    for directory, box in running.items():
        if box.name == name:
            return directory, box
    raise QemuError(f"no box {name} runs, only {names}")
