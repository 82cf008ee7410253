"""Which payloads stored blocks lack before they can be validated."""

from collections.abc import Container

from edgenode.ledger.block import Block
from edgenode.ledger.store import ChainStore


class Lacking:
    """Missing payloads, by the block that waits for them."""

    def __init__(self, store: ChainStore) -> None:
        self._store = store
        self._of: dict[bytes, set[bytes]] = {}
        self.changes = 0
        """Blocks and payloads that came or went since the start."""

    def __contains__(self, payload_id: bytes) -> bool:
        """Whether some block waits for this payload."""
        return any(payload_id in lacking for lacking in self._of.values())

    def of(self, block_id: bytes) -> set[bytes]:
        """The payloads that a stored block waits for."""
        return self._of.get(block_id, set())

    def is_complete(self, block_id: bytes) -> bool:
        """Whether a stored block waits for no payload."""
        if self._of.get(block_id):
            return False
        self._of.pop(block_id, None)
        return True

    def note(self, block: Block) -> None:
        """A block was stored."""
        self.changes += 1
        lacking = {u.payload for u in block.updates if not self._store.has_payload(u.payload)}
        if lacking:
            self._of[block.id] = lacking

    def read_again(self, refused: Container[bytes]) -> None:
        """Take it all from the store, without what refused blocks lack (by id)."""
        self.changes += 1
        self._of = {}
        for block_id, payload in self._store.lacking():
            if block_id not in refused:
                self._of.setdefault(block_id, set()).add(payload)

    def came(self, payload_id: bytes) -> None:
        """A payload is in the store now."""
        self.changes += 1
        for lacking in self._of.values():
            lacking.discard(payload_id)

    def forget(self, block_id: bytes) -> None:
        """A block was refused."""
        self.changes += 1
        self._of.pop(block_id, None)
