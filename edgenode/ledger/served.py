"""What is given to others: nothing that the disk has altered."""

import logging

from edgenode.ledger.block import Block, is_signed_block
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.hashes import content_id, display
from edgenode.ledger.store import AlteredError, ChainStore

log = logging.getLogger(__name__)


class Served:
    """Reads from a store; None for what is not there, or not as it was."""

    def __init__(self, genesis: Genesis, store: ChainStore) -> None:
        self._genesis = genesis
        self._store = store
        self._altered: str | None = None
        self._told: set[bytes] = set()

    def altered(self) -> str | None:
        """What was found altered since this was asked last; of several the first."""
        found, self._altered = self._altered, None
        return found

    def block(self, block_id: bytes) -> Block | None:
        """A block by id, genesis included."""
        try:
            return self.true_block(block_id)
        except AlteredError as error:
            self._note(block_id, str(error))
            return None

    def true_block(self, block_id: bytes) -> Block | None:
        """The same; raises AlteredError for one that is not as it was."""
        if block_id == self._genesis.id:
            return self._genesis.block
        block = self._store.block(block_id)
        # The block's id does not cover the signature.
        if block is not None and not is_signed_block(block, self._genesis.id):
            raise AlteredError(f"the signature of block {display(block_id)} changed on the disk")
        return block

    def payload(self, payload_id: bytes) -> bytes | None:
        """A payload by content id."""
        return self._named(self._store.payload(payload_id), payload_id, "payload")

    def state(self, root: bytes) -> bytes | None:
        """The records of a kept state, in their one form, by their root."""
        return self._named(self._store.state(root), root, "state")

    def parameters(self, root: bytes) -> bytes | None:
        """Kept parameters of a model by their root."""
        return self._named(self._store.parameters(root), root, "parameters")

    def _named(self, data: bytes | None, name: bytes, what: str) -> bytes | None:
        if data is not None and content_id(data) != name:
            self._note(name, f"{what} {name.hex()} changed on the disk")
            return None
        return data

    def _note(self, name: bytes, damage: str) -> None:
        self._altered = self._altered or damage
        if name not in self._told:  # peers may ask for it again and again
            self._told.add(name)
            log.error("an object changed on the disk", extra={"damage": damage})
