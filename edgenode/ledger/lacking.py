"""Which payloads stored blocks lack before they can be validated."""

from collections.abc import Container

from edgenode.ledger.block import Block
from edgenode.ledger.store import ChainStore


class Lacking:
    """Missing payloads, by the block that waits for them, and the other way round."""

    def __init__(self, store: ChainStore) -> None:
        self._store = store
        self._of: dict[bytes, set[bytes]] = {}
        self._waiting: dict[bytes, set[bytes]] = {}
        self.changes = 0
        """Blocks and payloads that came or went since the start."""

    def __len__(self) -> int:
        """How many payloads are missing."""
        return len(self._waiting)

    def __contains__(self, payload_id: bytes) -> bool:
        """Whether some block waits for this payload."""
        return payload_id in self._waiting

    def of(self, block_id: bytes) -> set[bytes]:
        """The payloads that a stored block waits for."""
        return self._of.get(block_id, set())

    def is_complete(self, block_id: bytes) -> bool:
        """Whether a stored block waits for no payload."""
        return block_id not in self._of

    def note(self, block: Block) -> None:
        """A block was stored."""
        self.forget(block.id)
        for update in block.updates:
            if not self._store.has_payload(update.payload):
                self._put(block.id, update.payload)

    def read_again(self, refused: Container[bytes]) -> None:
        """Take it all from the store, without what refused blocks lack (by id)."""
        self.changes += 1
        self._of, self._waiting = {}, {}
        for block_id, payload in self._store.lacking():
            if block_id not in refused:
                self._put(block_id, payload)

    def came(self, payload_id: bytes) -> None:
        """A payload is in the store now."""
        self.changes += 1
        _unlink(payload_id, self._waiting, self._of)

    def forget(self, block_id: bytes) -> None:
        """A block was refused."""
        self.changes += 1
        _unlink(block_id, self._of, self._waiting)

    def _put(self, block_id: bytes, payload_id: bytes) -> None:
        self._of.setdefault(block_id, set()).add(payload_id)
        self._waiting.setdefault(payload_id, set()).add(block_id)


def _unlink(name: bytes, there: dict[bytes, set[bytes]], back: dict[bytes, set[bytes]]) -> None:
    """Take a name out of both directions; nothing stays that is linked to nothing."""
    for other in there.pop(name, ()):
        linked = back[other]
        linked.discard(name)
        if not linked:
            del back[other]
