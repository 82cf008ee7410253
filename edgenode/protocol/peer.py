"""What a node knows of another one that it has a session with."""

from collections import OrderedDict
from dataclasses import dataclass, field

from edgenode.protocol.channel import Channel
from edgenode.protocol.flow import Flow
from edgenode.protocol.layout import Layout
from edgenode.protocol.roles import Role
from edgenode.protocol.wire import Address, Tip

REMEMBERED_STATUSES = 16
"""Statuses whose sending time is kept for their echo; older echoes measure nothing."""


@dataclass(slots=True)
class Peer:
    """One session. Times are in the monotonic clock's seconds.

    It began at `since`, which is `connected` in Unix seconds.
    `session` is this node's number for it, `member` and `instance` say who it is, `layout` which
    sockets it has. `broadcast` is where announcements go to: None for a peer that takes none, or
    named another host and sent nothing from there. `sending` is that of its channels through
    which this node sends: the newest one through which something came.
    """

    session: int
    member: bytes
    instance: int
    role: Role
    address: Address
    layout: Layout
    broadcast: Address | None
    tip: Tip
    connected: float
    since: float
    heard: float
    status_interval: float
    sending: Channel
    channels: list[Channel]
    knocked: bool = False
    """Whether this node has knocked at its address, and did not only let it in."""
    flow: Flow = field(default_factory=Flow)
    datagrams_sent: int = 0
    datagrams_received: int = 0
    status_due: float = 0.0
    addresses_due: float = 0.0
    status_sequence: int = 0
    _sent_statuses: "OrderedDict[int, float]" = field(default_factory=OrderedDict)
    _last_status: tuple[int, float] = (0, 0.0)

    def next_status(self, now: float) -> tuple[int, int, int]:
        """Sequence, echo and hold time (microseconds) for a status sent now."""
        self.status_sequence += 1
        self._sent_statuses[self.status_sequence] = now
        if len(self._sent_statuses) > REMEMBERED_STATUSES:
            self._sent_statuses.popitem(last=False)
        echo, received = self._last_status
        held = min(int((now - received) * 1e6), 2**32 - 1) if echo else 0
        return self.status_sequence, echo, held

    def status_received(self, sequence: int, echo: int, held: int, now: float) -> None:
        """Note the peer's status and measure the round trip by its echo of ours."""
        self._last_status = sequence, now
        sent = self._sent_statuses.pop(echo, None)
        if sent is not None:
            self.flow.round_trip.sample(now - sent - held / 1e6)
