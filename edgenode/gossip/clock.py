"""When this box's clock may be trusted: one decision, from facts alone. docs/time.md is its manual.

A block carries the time of who mined it, and a member's signature stands under it for ever. So a
node neither mines nor signs blocks and updates by a clock that nobody vouches for, or that is
behind what the box already knows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from edgenode.api.wording import shown_time

STEP_SECONDS = 2.0
"""A clock that moved by more against the time since the boot was set; a leap second is one."""

SLACK_SECONDS = 60.0
"""How far behind the time seen last a clock may be: time servers correct one that was fast."""


class Policy(StrEnum):
    """What `[node] clock` asks for."""

    ANY = "any"
    """Any clock will do that is not behind the chain: a developer's machine, a demo."""
    SYNCHRONISED = "synchronised"
    """Something must vouch for it: the time service, or somebody who looked."""


class State(StrEnum):
    """How the clock stands."""

    UNCHECKED = "unchecked"
    SYNCHRONISED = "synchronised"
    ACCEPTED = "accepted"
    UNSYNCHRONISED = "unsynchronised"
    BEHIND = "behind"


TRUSTED = frozenset({State.UNCHECKED, State.SYNCHRONISED, State.ACCEPTED})
"""States in which the node mines and signs."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The clocks at one moment.

    Attributes:
        wall: Unix seconds by the wall clock, which may be set at any time.
        since_boot: Seconds since the box started; nobody sets it.
        boot: Name of this boot; empty where it is not known.
        synchronised: Whether the system says that the wall clock is synchronised.
    """

    wall: float
    since_boot: float
    boot: str
    synchronised: bool

    @property
    def offset(self) -> float:
        """When the box started, by the wall clock: constant until the clock is set."""
        return self.wall - self.since_boot


@dataclass(frozen=True, slots=True)
class Floors:
    """Times that have certainly passed, in Unix seconds.

    Attributes:
        build: When this release was built.
        head: The newest block's time, less what a block may be ahead of a right clock.
    """

    build: float
    head: float


@dataclass(frozen=True, slots=True)
class Vouched:
    """Somebody vouched for the clock. It holds for this boot and until the clock is set.

    Attributes:
        state: SYNCHRONISED or ACCEPTED: who it was.
        boot: In which boot.
        offset: `Reading.offset` at that moment.
    """

    state: State
    boot: str
    offset: float


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of a clock.

    Attributes:
        last_seen: The latest time at which the clock was trusted, in Unix seconds; 0 for never.
        vouched: Who vouched for it last, while that holds.
    """

    last_seen: float = 0.0
    vouched: Vouched | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is made of a clock, with the reason in words."""

    state: State
    reason: str

    @property
    def trusted(self) -> bool:
        """Whether the node mines and signs."""
        return self.state in TRUSTED


class ClockBehindError(Exception):
    """Nobody can vouch for this clock: it is behind what has certainly passed."""


def judge(
    policy: Policy, reading: Reading, floors: Floors, memory: Memory
) -> tuple[Verdict, Memory]:
    """Whether the clock may be trusted, and what to remember of it."""
    if policy is Policy.ANY:
        if reading.wall < floors.head:
            return Verdict(State.BEHIND, _behind_head(reading, floors)), memory
        return Verdict(State.UNCHECKED, 'not checked: [node] clock = "any"'), memory
    vouched = memory.vouched if _holds(memory.vouched, reading) else None
    if reading.synchronised:
        vouched = Vouched(State.SYNCHRONISED, reading.boot, reading.offset)
    memory = replace(memory, vouched=vouched)
    if reason := _behind(reading, floors) or _behind_last_seen(reading, memory):
        return Verdict(State.BEHIND, reason), memory
    if vouched is None:
        return Verdict(State.UNSYNCHRONISED, "not synchronised yet, nor accepted by hand"), memory
    memory = replace(memory, last_seen=max(memory.last_seen, reading.wall))
    return Verdict(vouched.state, _ground(vouched, reading)), memory


def accept(reading: Reading, floors: Floors) -> Memory:
    """Somebody has looked at the clock and vouches for it.

    What the box believes to have seen last goes: a clock that was wrong once, and trusted, would
    otherwise lock the box for as long as it was ahead.

    Raises:
        ClockBehindError: The clock is certainly wrong.
    """
    if reason := _behind(reading, floors):
        raise ClockBehindError(reason)
    return Memory(reading.wall, Vouched(State.ACCEPTED, reading.boot, reading.offset))


def _holds(vouched: Vouched | None, reading: Reading) -> bool:
    return (
        vouched is not None
        and vouched.boot == reading.boot
        and abs(vouched.offset - reading.offset) <= STEP_SECONDS
    )


def _ground(vouched: Vouched, reading: Reading) -> str:
    if vouched.state is State.ACCEPTED:
        return "accepted by hand for this boot"
    return "synchronised" if reading.synchronised else "synchronised earlier in this boot"


def _behind(reading: Reading, floors: Floors) -> str:
    """Why the clock is certainly behind; empty if it is not."""
    if reading.wall < floors.build:
        return _before(reading, floors.build, "when this release was built")
    return _behind_head(reading, floors) if reading.wall < floors.head else ""


def _behind_head(reading: Reading, floors: Floors) -> str:
    return _before(reading, floors.head, "which the newest block proves")


def _behind_last_seen(reading: Reading, memory: Memory) -> str:
    if reading.wall >= memory.last_seen - SLACK_SECONDS:
        return ""
    return _before(reading, memory.last_seen, "when this box last ran")


def _before(reading: Reading, floor: float, what: str) -> str:
    return f"{shown_time(reading.wall)} is before {shown_time(floor)}, {what}"
