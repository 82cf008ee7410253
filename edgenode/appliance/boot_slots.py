"""`edgenode-bootslot`: the boot state on the box's own first partition, for RAUC and for people.

RAUC calls it as its custom bootloader backend (RAUC manual, "Custom Bootloader Backend"):
`get-primary`, `set-primary SLOT`, `get-state SLOT`, `set-state SLOT good|bad`, `get-current`.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edgenode.appliance.boot_state import (
    FILE_BYTES,
    FILE_NAMES,
    BootState,
    BootStateError,
    Slot,
    SlotState,
    confirmed,
    encode,
    given_up,
    newest,
    on_trial,
)

BOOT_FOLDER = Path("/boot/firmware")
LOCK = Path("/run/edgenode-bootslot.lock")
CMDLINE = Path("/proc/cmdline")


class BootSlots:
    """The boot state in a folder that is mounted read-only."""

    def __init__(self, folder: Path = BOOT_FOLDER, lock: Path = LOCK) -> None:
        """Nothing is opened yet."""
        self._folder = folder
        self._lock = lock

    def read(self) -> BootState:
        """The state that counts.

        Raises:
            BootStateError: Neither file holds one.
        """
        return newest([self._content(name) for name in FILE_NAMES])[0]

    def change(self, change: Callable[[BootState], BootState]) -> BootState:
        """Replace the state by what `change` makes of it; returns the new one.

        When this returns the state is on the card.

        Raises:
            BootStateError: Neither file holds a state.
            OSError: It could not be written; the state before holds.
        """
        with self._lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before, target = newest([self._content(name) for name in FILE_NAMES])
            after = change(before)
            if after == before:
                return before
            with _writable(self._folder):
                self._write(self._folder / FILE_NAMES[target], encode(after))
            return after

    def _content(self, name: str) -> bytes | None:
        try:
            with (self._folder / name).open("rb") as file:
                return file.read(FILE_BYTES + 1)
        except OSError:
            return None

    def _write(self, path: Path, raw: bytes) -> None:
        # In place: a new file would move clusters and the directory, which a power cut can tear.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            written = os.pwrite(descriptor, raw, 0)
            if written != len(raw):
                raise OSError(f"{path}: {written} of {len(raw)} bytes were written")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[None]:
    """Mounted for writing while the block lasts; a folder that is no mount is left alone."""
    if not folder.is_mount():
        yield
        return
    _remount(folder, "rw")
    try:
        yield
    finally:
        _remount(folder, "ro")


def _remount(folder: Path, mode: str) -> None:
    done = subprocess.run(  # noqa: S603
        ["/usr/bin/mount", "-o", f"remount,{mode}", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise OSError(f"{folder} cannot be remounted {mode}: {done.stderr.strip()}")


def current_slot(cmdline: str) -> Slot | None:
    """The slot that runs, from the kernel's command line; None where there are no slots."""
    for word in cmdline.split():
        name, _, value = word.partition("=")
        if name == "rauc.slot" and value in {slot.value for slot in Slot}:
            return Slot(value)
    return None


def primary(state: BootState, slot: Slot) -> BootState:
    """The slot is to be started next: on trial, unless it was found healthy before."""
    if state.record(slot).state is SlotState.GOOD:
        return confirmed(state, slot)
    return on_trial(state, slot)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="edgenode-bootslot", description="Which slot the box starts."
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=BOOT_FOLDER,
        help="where the first partition is mounted, such as a card's in a PC (default %(default)s)",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    names = [slot.value for slot in Slot]
    commands.add_parser("show", help="the whole boot state")
    commands.add_parser("get-current", help="the slot that runs")
    commands.add_parser("get-primary", help="the slot that is started next")
    commands.add_parser("set-primary", help="start this slot next").add_argument(
        "slot", choices=names
    )
    commands.add_parser("get-state", help="whether a slot is good or bad").add_argument(
        "slot", choices=names
    )
    state = commands.add_parser("set-state", help="call a slot good or bad")
    state.add_argument("slot", choices=names)
    state.add_argument("state", choices=("good", "bad"))
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command.

    Raises:
        SystemExit: Status 1 when the state cannot be read or written, 2 for wrong arguments.
    """
    options = _parser().parse_args(argv)
    try:
        for line in _answer(BootSlots(options.folder), options):
            print(line)  # noqa: T201
    except (BootStateError, OSError) as error:
        print(f"edgenode-bootslot: {error}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None


def _answer(slots: BootSlots, options: argparse.Namespace) -> Iterator[str]:
    command: str = options.command
    if command == "get-current":
        slot = current_slot(CMDLINE.read_text(encoding="utf-8"))
        if slot is None:
            raise BootStateError("the kernel's command line names no rauc.slot: no slots here")
        yield slot.value
    elif command == "get-primary":
        yield slots.read().primary.value
    elif command == "set-primary":
        slots.change(lambda state: primary(state, Slot(options.slot)))
    elif command == "get-state":
        bad = slots.read().record(Slot(options.slot)).state is SlotState.BAD
        yield "bad" if bad else "good"
    elif command == "set-state":
        call = confirmed if options.state == "good" else given_up
        slots.change(lambda state: call(state, Slot(options.slot)))
    else:
        state = slots.read()
        yield f"generation {state.generation}, next {state.primary.value}"
        for slot in state.order:
            record = state.record(slot)
            yield f"slot {slot.value}: {record.state.value}, {record.left} starts left"


if __name__ == "__main__":
    main()
