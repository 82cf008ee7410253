"""Machines for tests that need no operating system: U-Boot is at its prompt in a second."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qemu.disk import overlay
from qemu.errors import ToolMissingError
from qemu.hardware import QEMU, Hardware
from qemu.machine import Machine
from qemu.tools import U_BOOT, need
from tests.conftest import missing
from tests.qemu.images import a_disk

PATIENCE = 120.0
PROMPT = "^=> $"

MakeMachine = Callable[..., Machine]


@pytest.fixture
def make_machine(tmp_path: Path) -> Iterator[MakeMachine]:
    """Makes machines that are off, each with a small disk; they end with the test."""
    try:
        need([QEMU, "qemu-img", "mcopy", "sfdisk", "setpriv"], firmware=U_BOOT)
    except ToolMissingError as error:
        missing(str(error))
    made: list[Machine] = []

    def make(name: str = "bed-1", **hardware: object) -> Machine:
        directory = tmp_path / name
        directory.mkdir()
        image = a_disk(directory / "base.img")
        disk = overlay(image, directory / "disk.qcow2")
        machine = Machine(name, disk, directory, Hardware(**{"memory_mib": 256, **hardware}))
        made.append(machine)
        return machine

    yield make
    for machine in made:
        machine.close()


def to_prompt(machine: Machine) -> None:
    """Keep U-Boot from booting anything."""
    machine.wait_for("Hit any key to stop autoboot", PATIENCE)
    machine.console.send(" ")
    machine.wait_for(PROMPT, PATIENCE)


def type_in(machine: Machine, command: str) -> str:
    """Run a command of U-Boot; what it prints."""
    machine.console.send_line(command)
    machine.wait_for(re.escape(command) + "\n", PATIENCE)  # the echo
    return machine.console.wait_for(r"((?s:.*?))^=> $", PATIENCE)[1]
