"""What a gateway forwards: ports that stand for boxes, as NAT has them (RFC 4787).

A box has the same two ports towards everybody (endpoint-independent mapping), and keeps them
while its link is away for a while, so that its sessions outlast a trolley in a lift. What comes
from those to whom the box has spoken is forwarded; of what comes unasked, so much that others can
open sessions and nobody can fill a slow link.
"""

import ipaddress
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from edgenode.protocol.budget import Budget
from edgenode.protocol.channel import CHANNEL_FORM
from edgenode.protocol.gate import GATE_FORM
from edgenode.protocol.wire import DATAGRAM_LIMIT, Address

KEPT = 300.0
"""Seconds for which ports are kept for a box whose link is gone; another box may have them when no
others are left."""

CONTACT_TIME = 300.0
"""Seconds for which one to whom the box has spoken may answer (RFC 4787, REQ-5: not below 120)."""

CONTACTS_LIMIT = 256
"""Of one box: ten times the sessions that a node has."""

UNASKED_PER_SECOND = 10.0
UNASKED_AT_ONCE = 40
"""Datagrams from others that reach the box: their handshakes, 200 bytes each."""


class NotCarried(StrEnum):
    """Why a gateway drops a datagram, as metrics and docs/gateway.md name it."""

    NO_GOSSIP = "no_gossip"
    """Its first byte or its length is that of no datagram between nodes."""
    NO_UNICAST = "no_unicast"
    """Its address is none that a gateway sends to."""
    UNASKED = "unasked"
    """More than the budget came from those to whom the box has not spoken."""
    NO_LINK = "no_link"
    """The box's link is away."""
    FULL_LINK = "full_link"
    """More waits for the link than it carries in a moment."""


@dataclass(slots=True)
class _Mapping:
    member: bytes
    unasked: Budget
    lost_at: float | None = None
    contacts: "OrderedDict[Address, float]" = field(default_factory=OrderedDict)


class Mappings:
    """The boxes behind a gateway, by place: the place n has the n-th pair of ports.

    Attributes:
        dropped: Datagrams that were not carried, by reason.
        to_boxes: Datagrams that were carried to boxes.
        from_boxes: Datagrams that boxes sent to others.
    """

    def __init__(self, places: int, *, loopback: bool = False) -> None:
        """`loopback`: whether boxes may talk to addresses of the gateway's machine itself."""
        self._places: list[_Mapping | None] = [None] * places
        self._loopback = loopback
        self.dropped: Counter[NotCarried] = Counter(dict.fromkeys(NotCarried, 0))
        self.to_boxes = 0
        self.from_boxes = 0

    def come(self, member: bytes, now: float) -> int | None:
        """The place of a box whose link is new; None if there is none left.

        One that was here has its place again. Another gets the same one each time, as long as
        nobody else has it, so that others still find it after the gateway was started anew.
        """
        mine = next((n for n, m in enumerate(self._places) if m and m.member == member), None)
        if mine is not None:
            mapping = self._places[mine]
            assert mapping is not None, "found"
            mapping.lost_at = None
            return mine
        count = len(self._places)
        first = int.from_bytes(member[:8], "little") % count if count else 0
        order = [(first + n) % count for n in range(count)]
        free = next((n for n in order if self._is_free(n, now)), None)
        if free is None:
            free = min(
                (n for n in order if (m := self._places[n]) and m.lost_at is not None),
                key=self._lost_at,
                default=None,
            )
        if free is not None:
            self._places[free] = _Mapping(member, Budget(UNASKED_PER_SECOND, UNASKED_AT_ONCE, now))
        return free

    def leave(self, place: int, now: float) -> None:
        """The link of the box at this place is gone."""
        if (mapping := self._places[place]) is not None:
            mapping.lost_at = now

    @property
    def linked(self) -> int:
        """Boxes whose link stands."""
        return sum(m is not None and m.lost_at is None for m in self._places)

    def send(self, place: int, to: Address, data: bytes, now: float) -> bool:
        """Whether to send a datagram of the box to this address."""
        mapping = self._places[place]
        assert mapping is not None, "its link stands"
        if not _is_gossip(data):
            return self._drop(NotCarried.NO_GOSSIP)
        if not _is_allowed(to.host, self._loopback):
            return self._drop(NotCarried.NO_UNICAST)
        mapping.contacts.pop(to, None)
        mapping.contacts[to] = now
        if len(mapping.contacts) > CONTACTS_LIMIT:
            mapping.contacts.popitem(last=False)
        self.from_boxes += 1
        return True

    def receive(self, place: int, source: Address, data: bytes, now: float) -> bool:
        """Whether to give the box at this place a datagram from this address."""
        mapping = self._places[place]
        if mapping is None or mapping.lost_at is not None:
            return self._drop(NotCarried.NO_LINK)
        if not _is_gossip(data):
            return self._drop(NotCarried.NO_GOSSIP)
        spoken = mapping.contacts.get(source)
        if (spoken is None or now > spoken + CONTACT_TIME) and not mapping.unasked.take(1, now):
            return self._drop(NotCarried.UNASKED)
        self.to_boxes += 1
        return True

    def overflowed(self) -> None:
        """A datagram that `receive` let pass found no room on the link."""
        self.to_boxes -= 1
        self._drop(NotCarried.FULL_LINK)

    def _drop(self, reason: NotCarried) -> bool:
        self.dropped[reason] += 1
        return False

    def _is_free(self, place: int, now: float) -> bool:
        mapping = self._places[place]
        return mapping is None or (mapping.lost_at is not None and now > mapping.lost_at + KEPT)

    def _lost_at(self, place: int) -> float:
        mapping = self._places[place]
        assert mapping is not None, "chosen"
        assert mapping.lost_at is not None, "chosen"
        return mapping.lost_at


def _is_gossip(data: bytes) -> bool:
    return 0 < len(data) <= DATAGRAM_LIMIT and data[0] in (GATE_FORM, CHANNEL_FORM)


@lru_cache(maxsize=512)
def _is_allowed(host: str, loopback: bool) -> bool:
    """Whether a gateway sends there; a zone means nothing on another box."""
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return False
    if ip.is_multicast or ip.is_unspecified or ip.is_reserved or ip.is_link_local:
        return False
    return loopback or not ip.is_loopback
