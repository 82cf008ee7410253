"""Which slot a box starts, as two small files that U-Boot and Linux both write.

A *slot* (A or B) is one release: a boot partition and a root file system. The boot state says in
which order slots are tried, what is known of each, and how many starts each has left. U-Boot
(image/boot/boot.scr.txt) takes one start away before it starts a slot; Linux gives them back when
the box is healthy (`confirm`), puts a new release first on trial (`on_trial`), or gives a slot up
(`given_up`).

The state lies in two files of 512 bytes, one disk sector each, in U-Boot's environment format:
CRC-32 of the rest, little-endian, then NUL-terminated `name=value`, then NULs. The valid one of
the higher generation counts, and only the other one is ever written: a power cut while writing
leaves the state before.
"""

from __future__ import annotations

import enum
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

FILE_BYTES = 512
"""One sector: a card writes it whole or not at all."""

FILE_NAMES = ("bootstate.0", "bootstate.1")

STARTS_WHEN_GOOD = 3
"""Starts of a slot that was confirmed before it is passed over for the other one."""

STARTS_ON_TRIAL = 2
"""Starts of a new release: one may end in a power cut that is not its fault."""

_HIGHEST_GENERATION = 0xFFFFFFFF
_GENERATION = re.compile(r"0x([0-9a-f]{1,8})")
_COUNT = re.compile(r"[0-9a-f]")


class BootStateError(ValueError):
    """Bytes are no boot state; the text says why."""


class Slot(enum.Enum):
    """One of the two places for a release; the value is RAUC's bootname."""

    A = "A"
    B = "B"

    @property
    def other(self) -> Slot:
        """The other one."""
        return Slot.B if self is Slot.A else Slot.A


class SlotState(enum.Enum):
    """What is known of a slot."""

    GOOD = "good"
    """It was started and found healthy."""
    TRIAL = "trial"
    """It was written and not yet found healthy."""
    BAD = "bad"
    """It is empty, half written, or was given up: never started."""


@dataclass(frozen=True, slots=True)
class SlotRecord:
    """What is known of one slot.

    Attributes:
        state: What it is good for.
        left: Starts it has left, 0 to 15.
    """

    state: SlotState
    left: int


@dataclass(frozen=True, slots=True)
class BootState:
    """The whole state.

    Attributes:
        generation: Counts writes; 1 to 2³² - 1.
        order: Slots in the order in which they are tried.
        a: Slot A.
        b: Slot B.
    """

    generation: int
    order: tuple[Slot, ...]
    a: SlotRecord
    b: SlotRecord

    def record(self, slot: Slot) -> SlotRecord:
        """What is known of a slot."""
        return self.a if slot is Slot.A else self.b

    @property
    def primary(self) -> Slot:
        """The slot that the next start takes first."""
        for slot in self.order:
            if self.record(slot).state is not SlotState.BAD and self.record(slot).left:
                return slot
        good = (slot for slot in self.order if self.record(slot).state is SlotState.GOOD)
        return next(good, Slot.A)


FACTORY = BootState(
    generation=1,
    order=(Slot.A, Slot.B),
    a=SlotRecord(SlotState.GOOD, STARTS_WHEN_GOOD),
    b=SlotRecord(SlotState.BAD, 0),
)
"""A fresh image: slot A holds the release, slot B nothing."""


def encode(state: BootState) -> bytes:
    """The 512 bytes of a file."""
    values = {
        "gen": f"0x{state.generation:x}",
        "order": " ".join(slot.value for slot in state.order),
        "a_state": state.a.state.value,
        "a_left": f"{state.a.left:x}",
        "b_state": state.b.state.value,
        "b_left": f"{state.b.left:x}",
    }
    text = b"".join(f"{name}={value}\0".encode() for name, value in values.items())
    data = text.ljust(FILE_BYTES - 4, b"\0")
    return zlib.crc32(data).to_bytes(4, "little") + data


def decode(raw: bytes) -> BootState:
    """Read the bytes of a file.

    Raises:
        BootStateError: They are no boot state.
    """
    if len(raw) != FILE_BYTES:
        raise BootStateError(f"{len(raw)} bytes, not {FILE_BYTES}")
    data = raw[4:]
    if zlib.crc32(data) != int.from_bytes(raw[:4], "little"):
        raise BootStateError("the checksum does not match")
    values: dict[str, str] = {}
    for part in data.split(b"\0\0", 1)[0].split(b"\0"):
        name, equals, value = part.decode("ascii", "replace").partition("=")
        if not equals or name in values:
            raise BootStateError(f"not name=value, each once: {name!r}")
        values[name] = value
    if not (generation := _GENERATION.fullmatch(values.get("gen", ""))):
        raise BootStateError(f"gen is {values.get('gen')!r}")
    number = int(generation[1], 16)
    if not number:
        raise BootStateError("gen is 0")
    return BootState(number, _order(values), _record(values, "a"), _record(values, "b"))


def newest(files: Sequence[bytes | None]) -> tuple[BootState, int]:
    """The state that counts, and which file the next one is written to.

    Args:
        files: Contents of both files; None for one that cannot be read.

    Raises:
        BootStateError: Neither is a boot state.
    """
    found: list[tuple[BootState, int]] = []
    reasons = []
    for index, raw in enumerate(files):
        try:
            if raw is None:
                raise BootStateError("it cannot be read")
            found.append((decode(raw), index))
        except BootStateError as error:
            reasons.append(f"{FILE_NAMES[index]}: {error}")
    if not found:
        raise BootStateError("; ".join(reasons))
    # U-Boot takes the first of two that are equal; so does max.
    state, index = max(found, key=lambda entry: entry[0].generation)
    return state, 1 - index


def confirmed(state: BootState, slot: Slot) -> BootState:
    """The slot runs and is healthy: it is good, has all its starts, and comes first."""
    record = SlotRecord(SlotState.GOOD, STARTS_WHEN_GOOD)
    return _next(_with(state, slot, record), (slot, slot.other))


def on_trial(state: BootState, slot: Slot) -> BootState:
    """A release was written to the slot: it is started next, and has to prove itself."""
    record = SlotRecord(SlotState.TRIAL, STARTS_ON_TRIAL)
    return _next(_with(state, slot, record), (slot, slot.other))


def given_up(state: BootState, slot: Slot) -> BootState:
    """The slot is not to be started: it is being written, or it failed."""
    return _next(_with(state, slot, SlotRecord(SlotState.BAD, 0)), (slot.other, slot))


def _with(state: BootState, slot: Slot, record: SlotRecord) -> BootState:
    return replace(state, a=record) if slot is Slot.A else replace(state, b=record)


def _next(state: BootState, order: tuple[Slot, ...]) -> BootState:
    """The state to write after `state`."""
    if state.generation == _HIGHEST_GENERATION:
        raise BootStateError("the generation is used up")
    return replace(state, generation=state.generation + 1, order=order)


def _order(values: dict[str, str]) -> tuple[Slot, ...]:
    text = values.get("order", "")
    names = text.split(" ")
    if sorted(names) != [slot.value for slot in Slot]:
        raise BootStateError(f"order is {text!r}")
    return tuple(Slot(name) for name in names)


def _record(values: dict[str, str], prefix: str) -> SlotRecord:
    state, left = values.get(f"{prefix}_state", ""), values.get(f"{prefix}_left", "")
    if state not in {known.value for known in SlotState} or not _COUNT.fullmatch(left):
        raise BootStateError(f"slot {prefix} is {state!r} with {left!r} starts left")
    return SlotRecord(SlotState(state), int(left, 16))
