"""The chain: takes blocks and payloads in any order, follows the best valid branch."""

import logging
from collections.abc import Iterable
from dataclasses import replace

from edgenode.learning.fixed_point import Fixed, to_bytes
from edgenode.ledger import finality, foresight
from edgenode.ledger.active_chain import ActiveChain
from edgenode.ledger.block import Block
from edgenode.ledger.branches import Branches
from edgenode.ledger.completion import Completion, Wanted
from edgenode.ledger.fork_choice import ForkChoice
from edgenode.ledger.genesis import Genesis, GenesisError
from edgenode.ledger.hashes import content_id, display
from edgenode.ledger.head_change import HeadChange, Refusal
from edgenode.ledger.header import Header
from edgenode.ledger.header_intake import HeaderIntake, TakenHeaders
from edgenode.ledger.headers import Entry, HeaderTree
from edgenode.ledger.joining import Snapshot
from edgenode.ledger.kept_parameters import KeptParameters
from edgenode.ledger.lacking import Lacking
from edgenode.ledger.last_final import higher, known_final
from edgenode.ledger.past import Past
from edgenode.ledger.records import Overlay, encode_records
from edgenode.ledger.retention import Retention, let_go
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.served import Served
from edgenode.ledger.store import (
    PARAMETERS_KEPT,
    ChainStore,
    Connected,
    Joined,
    KeptState,
    MissingDataError,
    Switch,
)
from edgenode.ledger.target import expand, work
from edgenode.ledger.transaction import Coinbase, Update, holds_state_root
from edgenode.ledger.validation import (
    State,
    check_form,
    connect,
    genesis_records,
)

log = logging.getLogger(__name__)

REFUSED_REMEMBERED = 16_384
"""Invalid headers that are remembered, five megabytes; others are refused again."""

LONGEST_MOVE = 32
"""Blocks that join in one move of the head, once it is better than where it came from: what joins
is held in memory with its parameters until it is written."""


class Chain:
    """Fork choice and the state at the head.

    The head is the tip of the best branch (`State.rank`) among those whose blocks and payloads
    are all here and valid; of equal ones the first stays. None leaves the last final block. A
    block is validated in full when its branch might be the best. Refused blocks leave the store;
    their headers stay known as invalid, in memory.
    """

    def __init__(
        self,
        genesis: Genesis,
        genesis_parameters: tuple[Fixed, ...],
        store: ChainStore,
        retention: Retention = Retention(),  # noqa: B008  (frozen)
    ) -> None:
        """Take the chain from its store: what stands at the head; nothing is validated again.

        `retention` says what `let_go` may let go.

        Raises:
            GenesisError: the genesis parameters are not those that genesis names.
            MissingDataError: the store lacks something that it promised.
            AlteredError: the disk has altered something in it.
        """
        for model, parameters in zip(genesis.models, genesis_parameters, strict=True):
            root = content_id(to_bytes(parameters)).hex()
            if len(parameters) != model.parameters or root != model.root:
                raise GenesisError(
                    f"the genesis parameters of model {model.name} have root {root}, "
                    f"genesis names {model.root}"
                )
        self.genesis = genesis
        self.tree = HeaderTree(genesis, store.headers)
        self.served = Served(genesis, store)
        self._store = store
        self._retention = retention
        self.parameters = KeptParameters(
            genesis,
            genesis_parameters,
            self.tree,
            store,
            block=self._block,
            payload=self._intact_payload,
        )
        self._invalid: dict[bytes, Rejected] = {}
        self._lacking = Lacking(store)
        self._active = ActiveChain(self.tree, self._stored_head())
        self._branches = Branches(self.tree, self._active, store.has_block)
        self._choice = ForkChoice(
            self.tree,
            self._branches,
            self._active,
            self._highest_endorsed,
            floor=store.floor,
            final=lambda: self.final,
        )
        self._intake = HeaderIntake(
            genesis, self.tree, self._branches, self._invalid, self._choice.check
        )
        self._refused: list[bytes] = []
        self._foreseen: list[Refusal] = []
        self._completion = Completion(
            self.tree,
            self._active,
            self._choice,
            self._lacking,
            has_block=self._has_block,
            updates=self._updates_ahead,
        )
        self.past = Past(store, self._lacking, self.at)
        self._note_lacking_beside()
        self.state = self._state_at_head()
        self.final = known_final(store.final(), self._active, self.state.records)

    # What is known

    @property
    def head(self) -> Entry:
        """The entry of the best valid block."""
        return self._active.head

    def at(self, height: int) -> Entry | None:
        """The chain's entry at a height."""
        return self._active.at(height)

    def is_active(self, entry: Entry) -> bool:
        """Whether the entry belongs to the chain that ends in the head."""
        return self._active.contains(entry)

    def block(self, block_id: bytes) -> Block | None:
        """A block by id, genesis included.

        Raises:
            AlteredError: the disk has altered it.
        """
        return self.genesis.block if block_id == self.genesis.id else self._store.block(block_id)

    def payload(self, payload_id: bytes) -> bytes | None:
        """A payload by content id; None also if the disk has altered it."""
        return self.served.payload(payload_id)

    def has_payload(self, payload_id: bytes) -> bool:
        """Whether a payload is kept."""
        return self._store.has_payload(payload_id)

    def lacks_payload(self, payload_id: bytes) -> bool:
        """Whether a block that is here waits for this payload."""
        return payload_id in self._lacking

    @property
    def payloads_lacking(self) -> int:
        """How many payloads blocks that are here wait for."""
        return len(self._lacking)

    def invalid(self, block_id: bytes) -> Rejected | None:
        """Why a block was refused, if it was."""
        return self._invalid.get(block_id)

    def best_header(self) -> Entry:
        """The entry with the most work of which nothing is known to be invalid."""
        return self._choice.heaviest(self.state)

    def is_candidate(self, entry: Entry) -> bool:
        """Whether the branch up to an entry might be better than the chain, and can be followed."""
        return self._choice.is_candidate(entry, self.state)

    def wanted(self, limit: int, preferred: Iterable[Entry] = ()) -> Wanted:
        """Up to `limit` missing blocks, and updates with missing payload, nearest first.

        Every branch that might be better has its share, those up to the `preferred` before
        others: the heaviest may be one whose blocks nobody has. Branches that lack the same block
        first are one.
        """
        return self._completion.wanted(self.state, limit, preferred)

    def promise(self, block_id: bytes, justified: int) -> None:
        """A peer says that a checkpoint of this height is justified at a block, its head."""
        if justified > self.state.justified and block_id not in self._invalid:
            self._choice.promise(block_id, justified)

    def beside(self, depth: int) -> list[Block]:
        """Legible blocks beside the chain, up to `depth` below the head; parents first."""
        names = self._store.beside(max(0, self.head.height - depth))
        entries = (self.tree.get(name) for name in names if name not in self._invalid)
        stored = (self.served.block(e.id) for e in entries if e and not self._is_past(e))
        return [block for block in stored if block is not None]

    def parameters_at(self, entry: Entry, longest: int | None = None) -> tuple[Fixed, ...]:
        """The parameters of every model at a block of the chain or beside it.

        Recent ones come from the store; older ones are recomputed from the payloads, over at most
        `longest` blocks.

        Raises:
            MissingDataError: a block or payload that is needed is not kept, or more blocks would
                have to be computed again.
        """
        return self.parameters.at(entry, longest)

    def fork(self, entry: Entry) -> Entry | None:
        """Where a branch leaves the chain; None if it leaves the last final block."""
        try:
            self._choice.check(entry)
        except Rejected:
            return None
        return self._active.fork(entry)

    # What comes in

    def add_header(self, header: Header, now: int) -> Entry:
        """Take up a header; `now` in Unix seconds.

        Raises:
            UnknownParentError: its parent is not known.
            Rejected: it or an ancestor violates a rule.
        """
        entry = self._intake.take(header, now)
        self._branches.prune()
        return entry

    def add_headers(self, headers: bytes, now: int) -> TakenHeaders:
        """Take up consecutive headers of 80 bytes as far as they are good; `now` in Unix seconds.

        A good many at a time cost little more than hashing them.
        """
        taken = self._intake.take_run(headers, now)
        self._branches.prune()
        return taken

    def could_be_head(self, header: Header) -> bool:
        """Whether the branch that ends in this checked header has as much work as the head's."""
        parent = self.tree.get(header.previous)
        return parent is not None and parent.work + work(expand(header.target)) >= self.head.work

    def check_header(self, header: Header, now: int) -> None:
        """Check a header without taking it up; raises as `add_header`."""
        self._intake.check(header, now)

    def add_block(self, block: Block, now: int) -> Entry:
        """Take up a block; `advance` validates it in full once it can become the head.

        Raises:
            UnknownParentError: its parent is not known.
            Rejected: its header or form violates a rule; nothing of it is kept.
        """
        entry = self.tree.get(block.id)
        if entry is not None and block.id not in self._invalid and self.served.block(block.id):
            return entry
        # Proof of work comes before signatures, which cost more to check than to forge. A bad
        # signature or transaction list may be the courier's, so it damns no header.
        past = entry if entry is not None and self._is_past(entry) else None
        if past is None:
            self.check_header(block.header, now)
        check_form(self.genesis, block)
        entry = past or self._intake.take(block.header, now)
        self._store.add_block(block, entry.height)
        self._lacking.note(block)
        return entry

    def add_payload(self, payload: bytes) -> bytes:
        """Keep a payload that was asked for and checked against its update; returns its id."""
        name = content_id(payload)
        self._store.add_payload(name, payload)
        self._lacking.came(name)
        return name

    def advance(self) -> tuple[HeadChange | None, list[Refusal]]:
        """Move the head towards the best branch that is complete and valid.

        A long way takes several moves: call again until there is none.

        Returns:
            The move, if there was one, and the blocks that were found invalid on the way.
        """
        self._drop_refused()
        refusals, self._foreseen = self._foreseen, []
        while (target := self._completion.best(self.state)) is not None:
            change, refusal = self._switch(target)
            if refusal is not None:
                refusals.append(refusal)
                self._refuse(refusal)
            if change is not None:
                return change, refusals
            self._drop_refused()
        return None, refusals

    # What is let go, and taken over

    @property
    def floor(self) -> int:
        """The height from which blocks are kept; 0 for all of them."""
        return self._store.floor()

    @property
    def keeps_all(self) -> bool:
        """Whether this is an archive: it lets nothing go, and validates from genesis on."""
        return self._retention.blocks is None

    def let_go(self) -> None:
        """Let go of some of what need not be kept any more; to be called again and again."""
        final = self.final.height
        if let_go(self._store, self.genesis, self._retention, self.head.height, final):
            self._note_lacking_beside()

    def join_at(self, snapshot: Snapshot) -> HeadChange:
        """Go on from a state that was shown to be the chain's (`ledger.joining`).

        Of the blocks that are left the change has those that are still kept.

        Raises:
            MissingDataError: its block is not here.
        """
        old, entry = self.head, snapshot.entry
        block = self._block(entry)
        leaving = list(self.tree.ascent(self._active.fork(entry), old))[::-1]
        kept = tuple(self._block(left) for left in leaving if left.height >= self.floor)
        change = HeadChange(old, entry, kept, ())
        raw = encode_records(sorted(snapshot.records.items()))
        self._store.join(
            Joined(
                block=block,
                state=KeptState(entry.height, snapshot.root, raw),
                records=snapshot.records,
                parameters=[
                    (m.root, to_bytes(p))
                    for m, p in zip(snapshot.models, snapshot.parameters, strict=True)
                ],
            )
        )
        self._active.move(entry)
        self._note_lacking_beside()
        self.state = self._state_at_head()
        self.final = higher(self.final, self.state.records)
        return change

    # How it is done

    def _stored_head(self) -> Entry:
        head = self.tree.get(self._store.head())
        if head is None:
            raise MissingDataError("the header of the head is not in the store")
        return head

    def _is_past(self, entry: Entry) -> bool:
        """Whether an entry belongs to the chain below the floor."""
        return entry.height < self.floor and self.is_active(entry)

    def _has_block(self, entry: Entry) -> bool:
        return entry.height == 0 or self._store.has_block(entry.id)

    def _note_lacking_beside(self) -> None:
        """Note the payloads that stored blocks beside the chain lack."""
        self._lacking.read_again(self._invalid)
        self._completion.forget()

    def _state_at_head(self) -> State:
        records = self._store.records
        if records.get(finality.FINAL) is None:
            if self.head.height:
                raise MissingDataError("the store has no records of its chain")
            self._store.found(genesis_records(self.genesis))
        if self.floor and self._store.state_at(self.floor) is None:
            raise MissingDataError("the state below the lowest kept block is not in the store")
        return State(
            entry=self.head,
            records=records,
            models=self._block(self.head).coinbase.models,
            parameters=self.parameters_at(self.head),
            justified=finality.highest_justified(records).height,
        )

    def _updates_ahead(self, entry: Entry, tip: Entry) -> list[Update] | None:
        """The updates of a block on the branch to `tip`, of which all blocks below are here.

        None if the block was found wrong and refused, as far as that shows already: payloads of
        blocks whose miner nobody knows would cost nothing but work.
        """
        block = self._block(entry)
        below = self.tree.ascent(self._active.fork(tip), entry)
        blocks = (self._block(each) for each in below)
        fault = foresight.fault(self.genesis, self.state, entry, block, blocks)
        if fault is None:
            return block.updates
        refusal = Refusal(entry, fault)
        self._refuse(refusal)
        self._foreseen.append(refusal)
        return None

    def _switch(self, target: Entry) -> tuple[HeadChange | None, Refusal | None]:
        """Go to `target`, or towards it, as far as its branch is valid if that is still better."""
        old = self.head
        fork = self._active.fork(target)
        leaving = list(self.tree.ascent(fork, old))[::-1]
        records = Overlay(self.state.records)
        for entry in leaving:
            records.put_back(self._store.undo(entry.id))
        state = self._state_below(fork, records)
        joining: list[Connected] = []
        states: list[KeptState] = []
        refusal = None
        for entry in self.tree.ascent(fork, target):
            block = self._block(entry)
            if holds_state_root(entry.height):
                raw = encode_records(records.under(b""))
                states.append(KeptState(entry.height - 1, content_id(raw), raw))
            records.begin()
            try:
                state, joined = self._connect(state, records, entry, block)
            except Rejected as rejected:
                records.roll_back()
                # Payloads are stored under their true name: this one changed on our own disk.
                if not self._forget_altered_payloads(block):
                    # Without its traceback, which would hold on to the state of the whole branch.
                    refusal = Refusal(entry, Rejected(rejected.rule, rejected.detail))
                break
            joining.append(joined)
            if len(joining) > PARAMETERS_KEPT:
                # A branch of days is not held in memory with all its parameters.
                joining[-PARAMETERS_KEPT - 1] = replace(
                    joining[-PARAMETERS_KEPT - 1], parameters=()
                )
            if len(joining) >= LONGEST_MOVE and state.rank > self.state.rank:
                break
        if state.rank <= self.state.rank:
            if state.entry == target:
                self._choice.beaten(target)
            return None, refusal
        if len(joining) > PARAMETERS_KEPT:
            # Those of the new head stay at hand, also if no block of late has changed them.
            joining[-1] = replace(
                joining[-1],
                parameters=[
                    (m.root, to_bytes(p))
                    for m, p in zip(state.models, state.parameters, strict=True)
                ],
            )
        change = HeadChange(
            old=old,
            new=state.entry,
            disconnected=tuple(self._block(entry) for entry in leaving),
            connected=tuple(joined.block for joined in joining),
        )
        final = higher(self.final, records)
        self._store.switch(
            Switch(
                height=fork.height,
                disconnected=[entry.id for entry in leaving],
                connected=joining,
                records=records.changes,
                states=states,
                final=final,
            )
        )
        for left in change.disconnected:
            self._lacking.note(left)
        self._active.move(state.entry)
        self.final = final
        self.state = replace(state, records=self._store.records)
        return change, refusal

    def _forget_altered_payloads(self, block: Block) -> bool:
        """Forget payloads that are not what they were, so that peers are asked for them.

        Returns:
            Whether there were any.
        """
        altered = False
        for update in block.updates:
            payload = self._store.payload(update.payload)
            if payload is None or content_id(payload) != update.payload:
                log.error("a payload changed on the disk", extra={"payload": update.payload.hex()})
                self._store.drop_payload(update.payload)
                altered = True
        if altered:
            self._note_lacking_beside()
        return altered

    def _connect(
        self, state: State, records: Overlay, entry: Entry, block: Block
    ) -> tuple[State, Connected]:
        models, parameters = connect(
            self.genesis, state, records, block, lookup=self.tree.get, payload=self._payload
        )
        changed = [
            (m.root, to_bytes(p)) for m, p in zip(models, parameters, strict=True) if m.updates
        ]
        justified = finality.highest_justified(records).height
        new = State(entry, records, models, parameters, justified)
        return new, Connected(block, records.undo(), changed)

    def _state_below(self, fork: Entry, records: Overlay) -> State:
        """The state at an ancestor of the head, whose records these are."""
        if fork == self.head:
            return replace(self.state, records=records)
        return State(
            entry=fork,
            records=records,
            models=self._block(fork).coinbase.models,
            parameters=self.parameters_at(fork),
            justified=finality.highest_justified(records).height,
        )

    def _highest_endorsed(self, entry: Entry) -> int:
        return max((e.target_height for e in self._block(entry).endorsements), default=0)

    def _refuse(self, refusal: Refusal) -> None:
        """Mark a block and all that build on it invalid; their bodies are dropped afterwards."""
        builds_on_it = Rejected(Rule.PARENT_INVALID, f"builds on {display(refusal.entry.id)}")
        for name in self._branches.cut(refusal.entry):
            self._invalid[name] = builds_on_it
            self._lacking.forget(name)
            self._refused.append(name)
        # It is remembered longest: without it what builds on it is refused at once.
        self._invalid.pop(refusal.entry.id, None)
        self._invalid[refusal.entry.id] = refusal.rejected
        while len(self._invalid) > REFUSED_REMEMBERED:
            del self._invalid[next(iter(self._invalid))]
        self._completion.forget()

    def _drop_refused(self) -> None:
        """Forget the bodies of refused blocks; what a full disk prevents is done the next time."""
        while self._refused:
            self._store.drop_block(self._refused[-1])
            self._refused.pop()

    def _block(self, entry: Entry) -> Block:
        block = self.block(entry.id)
        if block is None:
            raise MissingDataError(f"block {display(entry.id)} is not in the store")
        assert isinstance(block.transactions[0], Coinbase)
        return block

    def _intact_payload(self, payload_id: bytes) -> bytes:
        payload = self.payload(payload_id)
        if payload is None:
            raise MissingDataError(f"payload {payload_id.hex()} is not in the store as it was")
        return payload

    def _payload(self, payload_id: bytes) -> bytes:
        payload = self._store.payload(payload_id)
        if payload is None:
            raise MissingDataError(f"payload {payload_id.hex()} is not in the store")
        return payload
