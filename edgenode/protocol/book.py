"""The address book: where nodes may be, and when to knock there next."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from edgenode.protocol.wire import Address

_Name = TypeVar("_Name")

BOOK_LIMIT = 256
"""Addresses kept; a ward is smaller, and a flood of invented ones must not fill memory."""

FIRST_RETRY = 1.0
LONGEST_RETRY = 60.0
"""Seconds between knocks at a door that stays shut: one datagram a minute costs nothing, and a
box that was switched on is found within one."""

SEED_TIME = 86_400.0
"""Seconds for which what a seed's name stood for last stays a seed: a resolver may be away that
long, while a box that gets a new address each day must not fill memory."""

SHUN_TIME = 600.0
"""Seconds for which an address is left alone after a fault that only its owner can have made."""


@dataclass(slots=True)
class _Door:
    seed_until: float
    knock_at: float
    retry: float = FIRST_RETRY


class AddressBook:
    """Sync addresses with the time of the next attempt; seeds are not forgotten."""

    def __init__(self, seeds: Iterable[Address], now: float) -> None:
        self._doors = {address: _Door(float("inf"), now) for address in seeds}
        self._shunned: dict[Address, float] = {}
        self._shunned_members: dict[bytes, float] = {}

    def add_seed(self, address: Address, now: float) -> None:
        """Add an address that is a seed for a day, unless it is said again."""
        door = self._doors.setdefault(address, _Door(now, now))
        door.seed_until = max(door.seed_until, now + SEED_TIME)

    def is_seed(self, address: Address, now: float) -> bool:
        """Whether an address is a seed."""
        door = self._doors.get(address)
        return door is not None and door.seed_until > now

    def learn(self, address: Address, now: float) -> None:
        """Note an address that somebody told us; full books take no more."""
        if address.port and address not in self._doors and len(self._doors) < BOOK_LIMIT:
            self._doors[address] = _Door(float("-inf"), now)

    def reached(self, address: Address, now: float) -> None:
        """A session stands at this address: when it ends, knock again soon."""
        self.learn(address, now)
        if address in self._doors:
            self._doors[address].retry = FIRST_RETRY

    def postpone(self, address: Address) -> None:
        """Knock here as seldom as can be."""
        if address in self._doors:
            self._doors[address].retry = LONGEST_RETRY

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

    def due(self, connected: set[Address], now: float) -> list[Address]:
        """The addresses to knock at now; each is due again later, less and less often."""
        knock = []
        for address, door in list(self._doors.items()):
            if address in connected or door.knock_at > now:
                continue
            if not self.is_shunned(address, now):
                knock.append(address)
            door.knock_at = now + door.retry
            if door.retry >= LONGEST_RETRY and door.seed_until <= now:
                # Told by somebody and never there: after a minute it makes room.
                del self._doors[address]
            door.retry = min(LONGEST_RETRY, 2 * door.retry)
        return knock

    def next_due(self, connected: set[Address]) -> float | None:
        """When `due` will next have something, in its clock."""
        return min(
            (door.knock_at for a, door in self._doors.items() if a not in connected), default=None
        )


def _stands(until_by: dict[_Name, float], name: _Name, now: float) -> bool:
    """Whether the time that stands beside a name is not over; what is over is forgotten."""
    until = until_by.get(name)
    if until is not None and until <= now:
        del until_by[name]
        return False
    return until is not None
