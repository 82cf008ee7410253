"""What is legible of a damaged store goes through full validation into a new one."""

import logging
from collections.abc import Callable
from pathlib import Path

from edgenode.learning.fixed_point import from_bytes
from edgenode.ledger.block import Block
from edgenode.ledger.chain import Chain
from edgenode.ledger.hashes import content_id
from edgenode.ledger.headers import Entry, UnknownParentError
from edgenode.ledger.joining import Snapshot, UnprovenError, read_state
from edgenode.ledger.rules import Rejected
from edgenode.ledger.store import MissingDataError
from edgenode.ledger.transaction import Update
from edgenode.storage import legible
from edgenode.storage.chain import SqliteChainStore

log = logging.getLogger(__name__)

TAKEN_AT_ONCE = 64
"""Blocks with their payloads, or payloads, that are taken over from a damaged store before the head
moves on with what they complete."""

_END_OF_TIME = (1 << 32) - 1
"""Taken for the time now: no header is later. What is in the store was not from the future when it
came, and a box without a battery may not know what time it is yet."""


def take_over(
    damaged: Path, chain: Chain, store: SqliteChainStore, on_step: Callable[[], None]
) -> None:
    """Take over headers and blocks, then what waited; `on_step` is called for each."""
    with legible.opened(damaged, on_step) as source:
        _Salvage(source, damaged, chain, store, on_step).run()


class _Salvage:
    def __init__(
        self,
        source: legible.Legible,
        damaged: Path,
        chain: Chain,
        store: SqliteChainStore,
        on_step: Callable[[], None],
    ) -> None:
        self._source = source
        self._file = damaged
        self._chain = chain
        self._store = store
        self._on_step = on_step
        self._committing: list[tuple[bytes, bytes]] = []  # root of a state, block that commits

    def run(self) -> None:
        self._headers()
        self._blocks()
        self._payloads()
        self._state()
        self._waiting()

    def _headers(self) -> None:
        """What comes after a gap is in the blocks, or comes from the peers."""
        for headers in self._source.headers():
            fault = self._chain.add_headers(headers, _END_OF_TIME).fault
            # The genesis header is known, so it faults no row; a row after a gap has no parent.
            if isinstance(fault, Rejected):
                log.warning("headers are left out", extra={"file": self._file, "error": fault})

    def _blocks(self) -> None:
        orphans: dict[bytes, list[Block]] = {}  # by parent: few, for blocks are stored as they come
        for count, found in enumerate(self._source.blocks(), 1):
            self._on_step()
            if count % TAKEN_AT_ONCE == 0:
                self._advance()
            blocks = [found]
            while blocks:
                block = blocks.pop()
                try:
                    self._chain.add_block(block, _END_OF_TIME)
                except UnknownParentError:
                    orphans.setdefault(block.header.previous, []).append(block)
                except Rejected as rejected:
                    log.warning(
                        "a block is left out", extra={"file": self._file, "error": rejected}
                    )
                else:
                    blocks += orphans.pop(block.id, [])
                    self._payloads_of(block)
                    if (root := block.coinbase.state) is not None:
                        self._committing.append((root, block.id))
        if orphans:
            log.warning(
                "blocks are left out: those before them are not legible",
                extra={"file": self._file, "blocks": sum(map(len, orphans.values()))},
            )

    def _payloads_of(self, block: Block) -> None:
        """With them a long chain is validated as it is read, and not held in memory."""
        for name in {update.payload for update in block.updates}:
            if self._chain.lacks_payload(name) and (found := self._source.payload(name)):
                self._chain.add_payload(found)

    def _payloads(self) -> None:
        """Those that no index leads to."""
        if self._chain.payloads_lacking:
            for count, payload in enumerate(self._source.payloads(), 1):
                self._on_step()
                if self._chain.lacks_payload(content_id(payload)):
                    self._chain.add_payload(payload)
                if count % TAKEN_AT_ONCE == 0:
                    self._advance()
        self._advance()

    def _state(self) -> None:
        """Go on from the lowest legible state, where a block before it is not here."""
        rows = self._source.named("state")
        found = [
            (above, root)
            for root, name in self._committing
            if root in rows and (above := self._chain.tree.get(name)) is not None
        ]
        parameters: dict[bytes, int] | None = None
        for above, root in sorted(found, key=lambda place: place[0].height):
            if above.height - 1 <= self._chain.head.height:
                continue
            parameters = self._source.named("parameters") if parameters is None else parameters
            try:
                snapshot = self._snapshot(above, root, rows[root], parameters)
            except (UnprovenError, MissingDataError) as error:
                log.warning(
                    "a state is left out", extra={"height": above.height - 1, "error": error}
                )
                continue
            self._chain.join_at(snapshot)
            self._advance()
            return

    def _snapshot(
        self, above: Entry, root: bytes, row: int, parameter_rows: dict[bytes, int]
    ) -> Snapshot:
        """The state that the block `above` commits to.

        Raises:
            UnprovenError: it is no state.
            MissingDataError: its block, or parameters, are not legible.
        """
        entry = self._chain.tree.parent(above)
        block = None if entry is None else self._chain.block(entry.id)
        raw = self._source.raw("state", row)
        if entry is None or block is None or raw is None:
            raise MissingDataError("its block is not legible")
        parameters = []
        for model, state, initial in zip(
            self._chain.genesis.models,
            block.coinbase.models,
            self._chain.parameters.kept(block.coinbase.models),
            strict=True,
        ):
            kept = parameter_rows.get(state.root)
            found = None if kept is None else self._source.raw("parameters", kept)
            if found is not None and content_id(found) == state.root:
                parameters.append(from_bytes(found, model.parameters))
            elif initial is not None:
                parameters.append(initial)
            else:
                raise MissingDataError(f"the parameters of model {model.name} are not legible")
        records = read_state(raw, root)
        return Snapshot(entry, root, records, block.coinbase.models, tuple(parameters))

    def _waiting(self) -> None:
        waiting = list(self._source.waiting())
        named = {t.payload: t for t in waiting if isinstance(t, Update)}
        for transaction in waiting:
            if not isinstance(transaction, Update):
                self._store.add_waiting(transaction, None)
            elif (payload := self._source.payload(transaction.payload)) is not None:
                self._store.add_waiting(transaction, payload)
                named.pop(transaction.payload, None)
        if named:
            for payload in self._source.payloads():
                self._on_step()
                if (update := named.get(content_id(payload))) is not None:
                    self._store.add_waiting(update, payload)

    def _advance(self) -> None:
        """Move the head as far as it goes."""
        while self._chain.advance()[0] is not None:
            self._on_step()
