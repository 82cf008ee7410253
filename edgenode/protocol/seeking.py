"""Which nodes to seek, and whom to let go of: a few of the node's own choice, and no crowd."""

import random
from collections.abc import Collection

from edgenode.protocol.book import AddressBook
from edgenode.protocol.peer import Peer
from edgenode.protocol.places import SOUGHT_PEERS, who_is_too_many
from edgenode.protocol.roles import Role
from edgenode.protocol.wire import Address

SEEK_INTERVAL = 1.0
"""Seconds between two looks for peers among addresses that were told, while there are too few."""

EXPLORE_INTERVAL = 120.0
"""Seconds between them while there are enough: who met by one session only, as two wards do that
were started apart, gets others. One handshake in that time costs nothing."""


class Seeking:
    """When to knock where."""

    def __init__(self, book: AddressBook, rng: random.Random, now: float) -> None:
        self._book = book
        self._rng = rng
        self._seek_at = self._part_at = now

    def knocks(self, peers: Collection[Peer], now: float) -> list[Address]:
        """Where to knock now."""
        # Guests do not count: who holds the ward key can make any number, and tell of them.
        chosen = sum(peer.knocked and peer.role is Role.MEMBER for peer in peers)
        missing = SOUGHT_PEERS - chosen
        sated, time_to_seek = missing <= 0, now >= self._seek_at
        # Not every door opens.
        sought = max(1, 2 * missing) if time_to_seek else 0
        connected = {peer.address for peer in peers}
        found = self._book.due(connected, now, self._rng, sought=sought, sated=sated)
        if time_to_seek and (found or sated):
            interval = EXPLORE_INTERVAL * self._rng.uniform(0.75, 1.25) if sated else SEEK_INTERVAL
            self._seek_at = now + interval
        elif not sated:
            self._seek_at = min(self._seek_at, now + SEEK_INTERVAL)
        return found

    def too_many(self, peers: Collection[Peer], now: float) -> Peer | None:
        """Whom to let go of now, if there are more than enough; one in a second."""
        if now < self._part_at:
            return None
        self._part_at = now + SEEK_INTERVAL
        seeds = [peer.address for peer in peers if self._book.is_seed(peer.address, now)]
        return who_is_too_many(peers, seeds, now, self._rng)

    def deadline(self, peers: Collection[Peer]) -> float | None:
        """When there will be somewhere to knock."""
        return self._book.next_due({peer.address for peer in peers}, self._seek_at)
