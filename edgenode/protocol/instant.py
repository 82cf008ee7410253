"""A reading of the clocks, passed into every state machine that needs one."""

from typing import NamedTuple


class Instant(NamedTuple):
    """`monotonic` orders events and runs timers, `unix` is the time of day; both in seconds."""

    monotonic: float
    unix: float
