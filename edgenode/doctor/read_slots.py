"""Which slot runs, the boot state, and what RAUC says."""

from __future__ import annotations

import json
import os
from pathlib import Path

from edgenode.appliance.boot_slots import BOOT_FOLDER, CMDLINE, BootSlots, current_slot
from edgenode.appliance.boot_state import BootState, BootStateError
from edgenode.doctor.command import CommandError, output_of
from edgenode.doctor.facts import RaucSlot, Slots, Unknown


def read_slots(cmdline: Path = CMDLINE, folder: Path = BOOT_FOLDER) -> Slots | None:
    """The slots; None on a machine whose kernel was not told of one.

    Raises:
        OSError: The kernel's command line cannot be read.
    """
    running = current_slot(cmdline.read_text(encoding="utf-8", errors="replace"))
    if running is None:
        return None
    booted, rauc = _rauc()
    return Slots(running, _boot_state(folder), booted, rauc)


def _boot_state(folder: Path) -> BootState | Unknown | None:
    if not os.access(folder, os.R_OK | os.X_OK) and folder.exists():
        return None
    try:
        return BootSlots(folder).read()
    except BootStateError as error:
        return Unknown(str(error))


def _rauc() -> tuple[str | None, tuple[RaucSlot, ...] | Unknown]:
    try:
        return rauc_status(output_of("rauc", "status", "--output-format=json"))
    except (CommandError, ValueError) as error:
        return None, Unknown(str(error))


def rauc_status(text: str) -> tuple[str | None, tuple[RaucSlot, ...]]:
    """The booted slot and those that can be booted, from RAUC's JSON.

    Raises:
        ValueError: It is none.
    """
    document = json.loads(text)
    try:
        slots = [slot for entry in document["slots"] for slot in entry.values()]
        return document["booted"], tuple(
            RaucSlot(slot["bootname"], slot["boot_status"]) for slot in slots if slot["bootname"]
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"rauc: its answer is not as expected: {error!r}") from None
