"""Checks a stored chain again from its first kept block on, and believes nothing that is stored.

Where the first blocks were let go, the state below counts by the root that the block above names.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from edgenode.learning.fixed_point import Fixed, to_bytes
from edgenode.ledger.block import Block
from edgenode.ledger.chain import Chain
from edgenode.ledger.hashes import content_id, display
from edgenode.ledger.headers import Entry
from edgenode.ledger.records import Overlay, PlainRecords, decode_records
from edgenode.ledger.rules import Rejected
from edgenode.ledger.store import AlteredError, ChainStore, MissingDataError
from edgenode.ledger.transaction import ModelState
from edgenode.ledger.validation import State, check_form, connect, genesis_records


@dataclass(frozen=True, slots=True)
class Fault:
    """Something stored is not what it must be; `height` is None where no block is meant."""

    height: int | None
    what: str


@dataclass(frozen=True, slots=True)
class Checked:
    """The block at a height was checked in full; with its updates."""

    height: int
    updates: int


class _MissingPayloadError(Exception):
    """A payload that a block names is not stored as it was."""


class Verification:
    """One pass over a chain, in memory that does not grow with it."""

    def __init__(self, chain: Chain, store: ChainStore, parameters: tuple[Fixed, ...]) -> None:
        """Prepare; `parameters` are those of genesis, the store is the chain's."""
        self._chain = chain
        self._store = store
        self._records = genesis_records(chain.genesis)
        self._models: tuple[ModelState, ...] = chain.genesis.block.coinbase.models
        self._parameters = parameters
        self._parent = chain.tree.root

    def run(self) -> Iterator[Checked | Fault]:
        """Check block after block, the state at the head, then all else that is stored.

        What it finds it says as it finds it.

        Where blocks are not kept from genesis on, headers are checked up to the lowest kept block,
        and the state after it against the block that commits to it. After a block that is missing
        or wrong the state above it cannot be told; from there on only headers, and blocks on their
        own, are checked.
        """
        yield from self._chain_faults()
        yield from self._kept_states()
        for what in self._store.faults():
            yield Fault(None, what)

    def _chain_faults(self) -> Iterator[Checked | Fault]:
        head, floor = self._chain.head, self._chain.floor
        whole = True
        for height in range(1, floor + 1):
            if (fault := self._fault_at(height)) is not None:
                yield Fault(height, fault)
        if floor and (fault := self._take_up(floor)) is not None:
            yield Fault(floor, fault)
            whole = False
        for height in range(floor + 1, head.height + 1):
            entry = self._chain.at(height)
            if entry is None:
                yield Fault(height, "its header is missing")
                return
            fault = self._header_fault(entry)
            block, of_block = self._block(entry)
            fault = fault or of_block
            if fault is None and whole and block is not None:
                fault = self._connect(entry, block)
            if fault is not None:
                yield Fault(height, fault)
                whole = False
            elif block is not None:
                yield Checked(height, len(block.updates))
        if whole:
            yield from self._state_faults()

    def _fault_at(self, height: int) -> str | None:
        entry = self._chain.at(height)
        return "its header is missing" if entry is None else self._header_fault(entry)

    def _take_up(self, floor: int) -> str | None:
        """Go on from the state after the lowest kept block; what is wrong with it, if anything."""
        entry, above = self._chain.at(floor), self._chain.at(floor + 1)
        if entry is None or above is None:
            return "the block that commits to the state after it is missing"
        block, fault = self._block(entry)
        committing, fault_above = self._block(above)
        raw = self._store.state_at(floor)
        if block is None or committing is None:
            return fault or fault_above
        if raw is None or content_id(raw) != committing.coinbase.state:
            return "the state after it is missing or altered"
        parameters = self._chain.parameters.kept(block.coinbase.models)
        self._records = decode_records(raw)
        self._models, self._parent = block.coinbase.models, entry
        self._parameters = tuple(found for found in parameters if found is not None)
        if len(self._parameters) < len(parameters):
            return "the parameters after it are missing or altered"
        return None

    def _header_fault(self, entry: Entry) -> str | None:
        try:
            self._chain.tree.check(entry.header)
        except Rejected as rejected:
            return f"its header violates {rejected}"
        return None

    def _block(self, entry: Entry) -> tuple[Block | None, str | None]:
        try:
            block = self._store.block(entry.id)
        except AlteredError as error:
            return None, str(error)
        if block is None:
            return None, f"block {display(entry.id)} is missing"
        try:
            check_form(self._chain.genesis, block)
        except Rejected as rejected:
            return block, f"its block violates {rejected}"
        return block, None

    def _connect(self, entry: Entry, block: Block) -> str | None:
        records = Overlay(PlainRecords(self._records))
        justified = 0  # the choice of a branch is not looked at
        state = State(self._parent, records, self._models, self._parameters, justified)
        records.begin()
        try:
            models, parameters = connect(
                self._chain.genesis,
                state,
                records,
                block,
                lookup=self._chain.tree.get,
                payload=self._payload,
            )
        except Rejected as rejected:
            return f"its block violates {rejected}"
        except _MissingPayloadError as error:
            return str(error)
        try:
            if self._store.undo(entry.id) != records.undo():
                return "its undo record is not what the block changes"
        except (MissingDataError, AlteredError) as error:
            return f"its undo record is missing or altered: {error}"
        for key, value in records.changes.items():
            if value is None:
                self._records.pop(key, None)
            else:
                self._records[key] = value
        self._models, self._parameters, self._parent = models, parameters, entry
        return None

    def _payload(self, payload_id: bytes) -> bytes:
        payload = self._store.payload(payload_id)
        if payload is None or content_id(payload) != payload_id:
            raise _MissingPayloadError(f"payload {payload_id.hex()} is missing or altered")
        return payload

    def _kept_states(self) -> Iterator[Fault]:
        """Those that are shown to who joins; the lowest was looked at with its block."""
        for height in self._store.states():
            above = self._chain.at(height + 1)
            committing = None if above is None else self._block(above)[0]
            raw = self._store.state_at(height)
            if height != self._chain.floor and (
                committing is None or raw is None or content_id(raw) != committing.coinbase.state
            ):
                yield Fault(height, "the state after it is missing or altered")

    def _state_faults(self) -> Iterator[Fault]:
        if dict(self._chain.state.records.under(b"")) != self._records:
            yield Fault(None, "the records at the head are not those that the blocks lead to")
        for model, kept, true in zip(
            self._chain.genesis.models, self._chain.state.parameters, self._parameters, strict=True
        ):
            if to_bytes(kept) != to_bytes(true):
                yield Fault(None, f"the parameters of model {model.name} are not the chain's")
