"""The address book: where nodes may be, and when to knock there next."""

import ipaddress
import random
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeVar

from edgenode.protocol.wire import Address

_Name = TypeVar("_Name")

_BROADCAST = ipaddress.ip_address("255.255.255.255")

BOOK_LIMIT = 256
"""Addresses kept; a ward is smaller, and a flood of invented ones must not fill memory."""

FIRST_RETRY = 1.0
LONGEST_RETRY = 60.0
"""Seconds between knocks at a door that stays shut: one datagram a minute costs nothing, and a
box that was switched on is found within one."""

LEARNT_TIME = 3600.0
"""Seconds for which an address that somebody told is kept while nobody knocks there."""

TOLD_LIMIT = 64
"""Addresses kept that one host told: two answers. One peer must not fill the book."""

OF_GUESTS = "guests"
"""Who told what beacons of others than members say: it is theirs together, for they can invent
sources."""

MET_TIME = 7 * 86_400.0
"""Seconds for which an address is kept at which a member was met: a ward whose switch was broken
for a week finds together again, for a datagram a minute."""

MET_LIMIT = 128
"""Addresses kept at which members were met: half of the book."""

MET_OF_MEMBER = 2
"""Of them of one member, and of those that its beacons tell: it may have two networks, or has got
a new address."""

SATED_RETRY = 600.0
"""Seconds between knocks at a seed's door while there are peers enough."""

SEED_TIME = 86_400.0
"""Seconds for which what a seed's name stood for last stays a seed: a resolver may be away that
long, while a box that gets a new address each day must not fill memory."""

SHUN_TIME = 600.0
"""Seconds for which an address is left alone after a fault that only its owner can have made."""


class Met(NamedTuple):
    """Where a member was met, and when last, in the book's clock."""

    address: Address
    member: bytes
    at: float


@dataclass(slots=True)
class _Door:
    knock_at: float
    seed_until: float = float("-inf")
    told_by: str = ""
    told_at: float = float("-inf")
    met: Met | None = None
    retry: float = FIRST_RETRY


class AddressBook:
    """Sync addresses with the time of the next attempt; seeds are not forgotten."""

    def __init__(self, seeds: Iterable[Address], now: float) -> None:
        self._doors = {address: _Door(now, seed_until=float("inf")) for address in seeds}
        self._shunned: dict[Address, float] = {}
        self._shunned_members: dict[bytes, float] = {}

    def add_seed(self, address: Address, now: float) -> None:
        """Add an address that is a seed for a day, unless it is said again."""
        door = self._doors.setdefault(address, _Door(now))
        door.seed_until = max(door.seed_until, now + SEED_TIME)

    def is_seed(self, address: Address, now: float) -> bool:
        """Whether an address is a seed."""
        door = self._doors.get(address)
        return door is not None and door.seed_until > now

    def learn(self, address: Address, now: float, told_by: str = "") -> bool:
        """Note an address that somebody at the site `told_by` told us, if the book has room."""
        if not address.port or not _is_of_one_box(address.host):
            return False
        door = self._doors.get(address)
        if door is None:
            if len(self._doors) >= BOOK_LIMIT:
                return False
            told = sum(d.told_by == told_by for d in self._doors.values()) if told_by else 0
            if told >= TOLD_LIMIT:
                return False
            door = self._doors[address] = _Door(now, told_by=told_by)
        door.told_at = now
        return True

    def hear(self, address: Address, member: bytes, now: float) -> None:
        """A member says by beacon where it is: what only was told makes room for that."""
        told_by = member.hex()
        if address not in self._doors:
            before = [
                (door.told_at, known)
                for known, door in self._doors.items()
                if door.told_by == told_by and not self._is_kept(door, now)
            ]
            if len(before) >= MET_OF_MEMBER:
                del self._doors[min(before)[1]]
            elif len(self._doors) >= BOOK_LIMIT:
                self._make_room(now)
        self.learn(address, now, told_by)

    def reached(self, address: Address, now: float, told_by: str = "") -> None:
        """A session stands at this address: when it ends, knock again soon."""
        self.learn(address, now, told_by)
        if address in self._doors:
            self._doors[address].retry = FIRST_RETRY

    def meet(self, address: Address, member: bytes, at: float) -> None:
        """A member was met here at that time."""
        before = [m for m in self.met() if m.address != address]
        of_member = [m for m in before if m.member == member]
        if len(of_member) >= MET_OF_MEMBER:
            self._unmeet(of_member)
        elif len(before) >= MET_LIMIT:
            self._unmeet(before)
        if address not in self._doors and len(self._doors) >= BOOK_LIMIT:
            self._make_room(at)
        self.learn(address, at)
        if (door := self._doors.get(address)) is not None:
            door.met = Met(address, member, at)

    def forget_member(self, member: bytes) -> None:
        """Where this member was met is no reason to knock there any more."""
        for door in self._doors.values():
            if door.met is not None and door.met.member == member:
                door.met = None

    def met(self) -> list[Met]:
        """Where members were met."""
        return [door.met for door in self._doors.values() if door.met is not None]

    def _unmeet(self, some: list[Met]) -> None:
        """Forget where one was met longest ago."""
        oldest = min(some, key=lambda met: met.at)
        self._doors[oldest.address].met = None

    def postpone(self, address: Address, now: float, seconds: float = LONGEST_RETRY) -> None:
        """Do not knock here for so long, and from then on at such intervals."""
        if (door := self._doors.get(address)) is not None:
            door.retry, door.knock_at = seconds, now + seconds

    def shun(self, address: Address, now: float) -> None:
        """Take nothing from this address for a while."""
        self._shunned[address] = now + SHUN_TIME
        if len(self._shunned) > BOOK_LIMIT:
            del self._shunned[next(iter(self._shunned))]

    def is_shunned(self, address: Address, now: float) -> bool:
        """Whether the address is left alone at present."""
        return _stands(self._shunned, address, now)

    def shun_member(self, member: bytes, now: float) -> None:
        """Have no session with this member (public key) for a while: the ward has few of them."""
        self._shunned_members[member] = now + SHUN_TIME

    def is_shunned_member(self, member: bytes, now: float) -> bool:
        """Whether there is to be no session with this member at present."""
        return _stands(self._shunned_members, member, now)

    def due(
        self,
        connected: set[Address],
        now: float,
        rng: random.Random,
        *,
        sought: int = BOOK_LIMIT,
        sated: bool = False,
    ) -> list[Address]:
        """The addresses to knock at now; each is due again later, less and less often.

        Of the doors that are no seed's, `sought` are chosen at random. Seeds' are all knocked at,
        seldom while the node is `sated`: while it has peers enough.
        """
        for door in self._doors.values():
            if door.seed_until <= now:
                door.seed_until = float("-inf")  # so that `next_due` takes it for what it is
        open_to = [
            (address, door)
            for address, door in self._doors.items()
            if address not in connected and door.knock_at <= now
        ]
        knock = [each for each in open_to if each[1].seed_until > now]
        others = [each for each in open_to if each[1].seed_until <= now]
        knock += others if len(others) <= sought else rng.sample(others, sought)
        for address, door in knock:
            door.knock_at = now + (max(door.retry, SATED_RETRY) if sated else door.retry)
            if door.retry >= LONGEST_RETRY and not self._is_kept(door, now):
                # Told by somebody and never there: after a minute it makes room.
                del self._doors[address]
            door.retry = min(LONGEST_RETRY, 2 * door.retry)
        for address, door in open_to:
            if now - door.told_at > LEARNT_TIME and not self._is_kept(door, now):
                self._doors.pop(address, None)
        return [address for address, _ in knock if not self.is_shunned(address, now)]

    def next_due(self, connected: set[Address], seek_from: float) -> float | None:
        """When `due` will next have something; nobody but seeds is sought before `seek_from`."""
        return min(
            (
                door.knock_at if door.seed_until > door.knock_at else max(door.knock_at, seek_from)
                for address, door in self._doors.items()
                if address not in connected
            ),
            default=None,
        )

    def _make_room(self, now: float) -> None:
        """Forget what was told longest ago, if anything was only told."""
        told = [(d.told_at, a) for a, d in self._doors.items() if not self._is_kept(d, now)]
        if told:
            del self._doors[min(told)[1]]

    def _is_kept(self, door: _Door, now: float) -> bool:
        """Whether an address stays whatever comes of knocking there."""
        return door.seed_until > now or (door.met is not None and now - door.met.at <= MET_TIME)


@lru_cache(maxsize=1024)
def _is_of_one_box(host: str) -> bool:
    """Whether an address can be one box's: who tells others has a whole network answer a knock."""
    ip = ipaddress.ip_address(host.partition("%")[0])
    return not (ip.is_multicast or ip.is_unspecified or ip == _BROADCAST)


def _stands(until_by: dict[_Name, float], name: _Name, now: float) -> bool:
    """Whether the time that stands beside a name is not over; what is over is forgotten."""
    until = until_by.get(name)
    if until is not None and until <= now:
        del until_by[name]
        return False
    return until is not None
