"""The parameters at a block: from the store, or computed again from the payloads above one kept."""

from collections.abc import Callable, Sequence

from edgenode.learning.fixed_point import Fixed, from_bytes
from edgenode.ledger.block import Block
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.hashes import content_id, display
from edgenode.ledger.headers import Entry, HeaderTree
from edgenode.ledger.store import ChainStore, MissingDataError
from edgenode.ledger.transaction import ModelState
from edgenode.ledger.validation import base_age, evolve


class KeptParameters:
    """Looks for the parameters of every model at a block of the chain or beside it."""

    def __init__(
        self,
        genesis: Genesis,
        genesis_parameters: tuple[Fixed, ...],
        tree: HeaderTree,
        store: ChainStore,
        *,
        block: Callable[[Entry], Block],
        payload: Callable[[bytes], bytes],
    ) -> None:
        """Prepare; `block` and `payload` (by content id) raise MissingDataError."""
        self._genesis = genesis
        self._genesis_parameters = genesis_parameters
        self._tree = tree
        self._store = store
        self._block = block
        self._payload = payload

    def at(self, entry: Entry, longest: int | None) -> tuple[Fixed, ...]:
        """The parameters of every model at a block, computed again over at most `longest` blocks.

        Raises:
            MissingDataError: a block or payload that is needed is not kept, or more blocks would
                have to be computed again.
        """
        above: list[Entry] = []
        for ancestor in self._tree.lineage(entry):
            kept = self._kept(ancestor)
            if kept is not None:
                break
            above.append(ancestor)
            if longest is not None and len(above) > longest:
                raise MissingDataError(
                    f"the parameters at block {display(entry.id)} are not kept, and computing them "
                    f"again would take more than {longest} blocks"
                )
        assert kept is not None, "the parameters of genesis are always here"
        for descendant in reversed(above):
            parent = self._tree.parent(descendant)
            assert parent is not None, "genesis has its parameters"
            updates = [
                (u, base_age(self._genesis, u.base, parent, self._tree.get))
                for u in self._block(descendant).updates
            ]
            before = self._block(parent).coinbase.models
            _, kept = evolve(self._genesis, before, kept, updates, self._payload)
        return kept

    def kept(self, states: Sequence[ModelState]) -> list[Fixed | None]:
        """For each model the parameters that its state names, None where they are not at hand."""
        found: list[Fixed | None] = []
        for model, state, initial in zip(
            self._genesis.models, states, self._genesis_parameters, strict=True
        ):
            data = self._store.parameters(state.root)
            # A bit that the disk has flipped would split this node from its ward: computed anew.
            if data is not None and content_id(data) == state.root:
                found.append(from_bytes(data, model.parameters))
            else:
                found.append(initial if state.root.hex() == model.root else None)
        return found

    def _kept(self, entry: Entry) -> tuple[Fixed, ...] | None:
        if entry == self._tree.root:
            return self._genesis_parameters
        found = self.kept(self._block(entry).coinbase.models)
        kept = tuple(parameters for parameters in found if parameters is not None)
        return kept if len(kept) == len(found) else None
