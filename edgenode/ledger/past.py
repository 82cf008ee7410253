"""What an archive lacks below its floor: after damage to the disk, or since it became one.

The chain goes on from a state meanwhile. What belongs below is known by the headers, so that it can
be pulled in any order; validated it is when a start takes all of it from genesis on.
"""

from collections.abc import Callable

from edgenode.ledger.completion import Wanted
from edgenode.ledger.headers import Entry
from edgenode.ledger.lacking import Lacking
from edgenode.ledger.store import ChainStore
from edgenode.ledger.transaction import Update

LOOKED_AT = 256
"""Blocks that are looked at for what they lack at a time, so that nothing else waits for it."""


class Past:
    """Goes up the chain from genesis to the floor, no further than what is there."""

    def __init__(
        self, store: ChainStore, lacking: Lacking, at: Callable[[int], Entry | None]
    ) -> None:
        """Start at genesis; `at` gives the chain's entry at a height."""
        self._store = store
        self._lacking = lacking
        self._at = at
        self._reached = 0

    @property
    def is_whole(self) -> bool:
        """Whether all blocks and payloads below the floor are here."""
        return self._reached >= self._store.floor() - 1

    def wanted(self, limit: int) -> Wanted:
        """Up to `limit` missing blocks, and updates with missing payload, lowest first."""
        blocks: list[bytes] = []
        updates: list[Update] = []
        top = min(self._store.floor(), self._reached + 1 + LOOKED_AT)
        for height in range(self._reached + 1, top):
            entry = self._at(height)
            if entry is None or len(blocks) >= limit or len(updates) >= limit:
                break
            if not self._store.has_block(entry.id):
                blocks.append(entry.id)
            elif lacking := self._lacking.of(entry.id):
                block = self._store.block(entry.id)
                named = () if block is None else block.updates
                updates += [update for update in named if update.payload in lacking]
            elif height == self._reached + 1:
                self._reached = height
        return Wanted(tuple(blocks[:limit]), tuple(updates[:limit]))
