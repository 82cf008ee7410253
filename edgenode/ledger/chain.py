"""The chain: takes blocks and payloads in any order, follows the heaviest valid branch."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

from edgenode.learning.fixed_point import Fixed, from_bytes, to_bytes
from edgenode.ledger.accounts import EMPTY, applied
from edgenode.ledger.block import Block, is_signed_block
from edgenode.ledger.branches import Branches
from edgenode.ledger.genesis import Genesis, GenesisError
from edgenode.ledger.hashes import content_id, display
from edgenode.ledger.header import Header
from edgenode.ledger.headers import (
    Entry,
    HeaderTree,
    UnknownParentError,
    branch,
    check_clock,
    fork_point,
)
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.store import (
    PARAMETERS_KEPT,
    AlteredError,
    ChainStore,
    Connected,
    Switch,
)
from edgenode.ledger.target import expand, work
from edgenode.ledger.transaction import Coinbase, Update
from edgenode.ledger.validation import Once, State, check_form, connect, evolve

log = logging.getLogger(__name__)

LONGEST_MOVE = 32
"""Blocks that join in one move of the head, once it is heavier than where it came from: what joins
is held in memory with its parameters until it is written."""


class MissingDataError(LookupError):
    """Something that the chain needs is neither kept nor can be recomputed."""


@dataclass(frozen=True, slots=True)
class HeadChange:
    """The head moved: `disconnected` blocks from the old tip down, `connected` from the fork up."""

    old: Entry
    new: Entry
    disconnected: tuple[Block, ...]
    connected: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A block that was taken up but failed full validation."""

    entry: Entry
    rejected: Rejected


@dataclass(frozen=True, slots=True)
class Wanted:
    """Data that the heaviest branches still lack, nearest to the head first."""

    blocks: tuple[bytes, ...]
    updates: tuple[Update, ...]


class Chain:
    """Fork choice and the state at the head.

    The head is the tip of the branch with the most work among those whose blocks and payloads
    are all here and valid; of equal ones the first stays. A block is validated in full when
    its branch becomes the heaviest. Refused blocks leave the store; their headers stay known
    as invalid, in memory.
    """

    def __init__(
        self, genesis: Genesis, genesis_parameters: tuple[Fixed, ...], store: ChainStore
    ) -> None:
        """Load the chain from its store; nothing is validated again.

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
        self.tree = HeaderTree(genesis)
        self._genesis_parameters = genesis_parameters
        self._store = store
        self._invalid: dict[bytes, Rejected] = {}
        self._lacking: dict[bytes, set[bytes]] = {}
        self._branches = Branches(self.tree)
        self._refused: list[bytes] = []
        self._active: list[Entry] = [self.tree.root]
        self._once: dict[bytes, frozenset[Once]] = {}
        self._load()
        self.state = self._state_at_head()

    # What is known

    @property
    def head(self) -> Entry:
        """The entry of the best valid block."""
        return self._active[-1]

    def at(self, height: int) -> Entry | None:
        """The chain's entry at a height."""
        return self._active[height] if 0 <= height < len(self._active) else None

    def is_active(self, entry: Entry) -> bool:
        """Whether the entry belongs to the chain that ends in the head."""
        return self.at(entry.height) is entry

    def block(self, block_id: bytes) -> Block | None:
        """A block by id, genesis included.

        Raises:
            AlteredError: the disk has altered it.
        """
        return self.genesis.block if block_id == self.genesis.id else self._store.block(block_id)

    def served_block(self, block_id: bytes) -> Block | None:
        """A block to give to others: None also if the disk has altered it."""
        try:
            block = self.block(block_id)
        except AlteredError as error:
            log.error("a block changed on the disk", extra={"error": error})
            return None
        if block is None or block is self.genesis.block:
            return block
        if not is_signed_block(block, self.genesis.id):  # the block's id does not cover it
            log.error(
                "the signature of a block changed on the disk", extra={"block": display(block_id)}
            )
            return None
        return block

    def payload(self, payload_id: bytes) -> bytes | None:
        """A payload by content id; None also if the disk has altered it."""
        payload = self._store.payload(payload_id)
        if payload is not None and content_id(payload) != payload_id:
            log.error("a payload changed on the disk", extra={"payload": payload_id.hex()})
            return None
        return payload

    def lacks_payload(self, payload_id: bytes) -> bool:
        """Whether a block that is here waits for this payload."""
        return any(payload_id in lacking for lacking in self._lacking.values())

    def invalid(self, block_id: bytes) -> Rejected | None:
        """Why a block was refused, if it was."""
        return self._invalid.get(block_id)

    def best_header(self) -> Entry:
        """The entry with the most work of which nothing is known to be invalid."""
        return self._branches.best(self.head)

    def wanted(self, limit: int) -> Wanted:
        """Up to `limit` missing blocks, and updates with missing payload, nearest first.

        Every branch that is heavier than the head has its share: the heaviest may be one whose
        blocks nobody has. Branches that lack the same block first are one.
        """
        lacking: dict[bytes, tuple[list[bytes], list[Update]]] = {}
        for tip in self._branches.heavier(self.head):
            of_tip = self._lacking_of(tip, limit)
            first = of_tip[0][0] if of_tip[0] else of_tip[1][0].id if of_tip[1] else None
            if first is not None:
                lacking.setdefault(first, of_tip)
            if len(lacking) == limit:
                break
        share = max(2, limit // max(1, len(lacking)))
        blocks: dict[bytes, None] = {}
        updates: dict[bytes, Update] = {}
        for lacking_blocks, lacking_updates in lacking.values():
            blocks.update(dict.fromkeys(lacking_blocks[:share]))
            updates.update({update.id: update for update in lacking_updates[:share]})
        return Wanted(tuple(blocks)[:limit], tuple(updates.values())[:limit])

    def _lacking_of(self, tip: Entry, limit: int) -> tuple[list[bytes], list[Update]]:
        blocks: list[bytes] = []
        updates: list[Update] = []
        for entry in branch(fork_point(self.head, tip), tip):
            if self._branches.is_bare(entry):
                blocks.append(entry.id)
            elif lacking := self._lacking.get(entry.id):
                block = self._block(entry)
                updates += [u for u in block.updates if u.payload in lacking]
            if len(blocks) >= limit or len(updates) >= limit:
                break
        return blocks[:limit], updates[:limit]

    def beside(self, depth: int) -> list[Block]:
        """Stored blocks beside the chain, up to `depth` below the head; parents first."""
        found: dict[bytes, Entry] = {}
        for tip in self._branches:
            for entry in tip.lineage():
                if self.is_active(entry) or entry.height < self.head.height - depth:
                    break
                found[entry.id] = entry
        stored = (self._store.block(e.id) for e in sorted(found.values(), key=lambda e: e.height))
        return [block for block in stored if block is not None]

    def parameters_at(self, entry: Entry, longest: int | None = None) -> tuple[Fixed, ...]:
        """The parameters of every model at a block of the chain or beside it.

        Recent ones come from the store; older ones are recomputed from the payloads, over at most
        `longest` blocks.

        Raises:
            MissingDataError: a block or payload that is needed is not kept, or more blocks would
                have to be computed again.
        """
        above: list[Entry] = []
        for ancestor in entry.lineage():
            kept = self._kept_parameters(ancestor)
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
            assert descendant.parent is not None
            state = State(
                entry=descendant.parent,
                accounts={},
                models=self._block(descendant.parent).coinbase.models,
                parameters=kept,
                counted=frozenset(),
            )
            _, kept = evolve(
                self.genesis,
                state,
                self._block(descendant).updates,
                self.tree.get,
                self._intact_payload,
            )
        return kept

    # What comes in

    def add_header(self, header: Header, now: int) -> Entry:
        """Take up a header; `now` in Unix seconds.

        Raises:
            UnknownParentError: its parent is not known.
            Rejected: it or an ancestor violates a rule.
        """
        entry = self._take_header(header, now)
        self._branches.prune(self.head.height)
        return entry

    def _take_header(self, header: Header, now: int) -> Entry:
        self.check_header(header, now)
        known = self.tree.get(header.id)
        if known is not None:
            return known
        entry = self.tree.add(header)
        self._branches.extend(entry, bare=True)
        return entry

    def could_be_head(self, header: Header) -> bool:
        """Whether the branch that ends in this checked header has as much work as the head's."""
        parent = self.tree.get(header.previous)
        return parent is not None and parent.work + work(expand(header.target)) >= self.head.work

    def check_header(self, header: Header, now: int) -> None:
        """Check a header without taking it up; raises as `add_header`."""
        if (why := self._invalid.get(header.id)) is not None:
            raise Rejected(why.rule, why.detail)
        if self.tree.get(header.id) is not None:
            return
        if header.previous in self._invalid:
            raise Rejected(
                Rule.PARENT_INVALID, f"builds on the refused block {display(header.previous)}"
            )
        check_clock(self.genesis, header, now)
        self.tree.check(header)

    def add_block(self, block: Block, now: int) -> Entry:
        """Take up a block; `advance` validates it in full once it can become the head.

        Raises:
            UnknownParentError: its parent is not known.
            Rejected: its header or form violates a rule; nothing of it is kept.
        """
        entry = self.tree.get(block.id)
        if (
            entry is not None
            and block.id not in self._invalid
            and not self._branches.is_bare(entry)
        ):
            return entry
        # Proof of work comes before signatures, which cost more to check than to forge. A bad
        # signature or transaction list may be the courier's, so it damns no header.
        self.check_header(block.header, now)
        check_form(self.genesis, block)
        entry = self._take_header(block.header, now)
        self._store.add_block(block, entry.height)
        self._branches.block_came(entry)
        self._note_lacking(block)
        return entry

    def add_payload(self, payload: bytes) -> bytes:
        """Keep a payload that was asked for and checked against its update; returns its id."""
        name = content_id(payload)
        self._store.add_payload(name, payload)
        for lacking in self._lacking.values():
            lacking.discard(name)
        return name

    def advance(self) -> tuple[HeadChange | None, list[Refusal]]:
        """Move the head towards the best branch that is complete and valid.

        A long way takes several moves: call again until there is none.

        Returns:
            The move, if there was one, and the blocks that were found invalid on the way.
        """
        self._drop_refused()
        refusals: list[Refusal] = []
        while (target := self._best_complete()) is not None:
            change, refusal = self._switch(target)
            if refusal is not None:
                refusals.append(refusal)
                self._refuse(refusal)
            if change is not None:
                return change, refusals
            self._drop_refused()
        return None, refusals

    # How it is done

    def _load(self) -> None:
        orphans = []
        for header in self._store.headers():
            try:
                self._branches.extend(self.tree.restore(header), bare=False)
            except UnknownParentError:
                # Bodies come in any order while catching up, headers are stored with them only:
                # the power went before the parent came. Its peers still have it.
                orphans.append(header.id)
        active = self._store.active()
        for block_id in orphans:
            if block_id not in active:
                self._store.drop_block(block_id)
        for block_id in active:
            entry = self.tree.get(block_id)
            if entry is None or entry.parent is not self.head:
                raise MissingDataError(
                    f"the store's chain breaks above height {self.head.height}; "
                    "it needs to be rebuilt"
                )
            self._active.append(entry)
        self._note_lacking_beside()

    def _note_lacking_beside(self) -> None:
        """Note the payloads that stored blocks beside the chain lack."""
        for tip in self._branches:
            for side in tip.lineage():
                if self.is_active(side):
                    break
                if not self._branches.is_bare(side):
                    self._note_lacking(self._block(side))

    def _state_at_head(self) -> State:
        return State(
            entry=self.head,
            accounts=self._store.accounts(),
            models=self._block(self.head).coinbase.models,
            parameters=self.parameters_at(self.head),
            counted=self._counted(self.head),
        )

    def _note_lacking(self, block: Block) -> None:
        lacking = {u.payload for u in block.updates if not self._store.has_payload(u.payload)}
        if lacking:
            self._lacking[block.id] = lacking

    def _is_complete(self, entry: Entry) -> bool:
        if self._branches.is_bare(entry):
            return False
        if not self._lacking.get(entry.id):
            self._lacking.pop(entry.id, None)
            return True
        return False

    def _best_complete(self) -> Entry | None:
        """The heaviest entry above the head's work whose whole branch is here, if any."""
        best: Entry | None = None
        for tip in self._branches.heavier(self.head):
            reached: Entry | None = None
            for entry in branch(fork_point(self.head, tip), tip):
                if not self._is_complete(entry):
                    break
                reached = entry
            if reached is not None and reached.work > (best or self.head).work:
                best = reached
        return best

    def _switch(self, target: Entry) -> tuple[HeadChange | None, Refusal | None]:
        """Go to `target`, or towards it, as far as its branch is valid if that is still heavier."""
        old = self.head
        fork = fork_point(old, target)
        leaving = branch(fork, old)[::-1]
        state = self.state if fork is old else self._state_below(fork, leaving)
        touched: set[bytes] = {
            key for entry in leaving for key in self._store.undo(entry.id).before
        }
        joining: list[Connected] = []
        entries: list[Entry] = []
        refusal = None
        for entry in branch(fork, target):
            block = self._block(entry)
            try:
                state, joined = self._connect(state, entry, block)
            except Rejected as rejected:
                # Payloads are stored under their true name: this one changed on our own disk.
                if not self._forget_altered_payloads(block):
                    # Without its traceback, which would hold on to the state of the whole branch.
                    refusal = Refusal(entry, Rejected(rejected.rule, rejected.detail))
                break
            joining.append(joined)
            entries.append(entry)
            touched.update(joined.undo.before)
            if len(joining) > PARAMETERS_KEPT:
                # A branch of days is not held in memory with all its parameters.
                joining[-PARAMETERS_KEPT - 1] = replace(
                    joining[-PARAMETERS_KEPT - 1], parameters=()
                )
            if state.entry.work > old.work and len(joining) >= LONGEST_MOVE:
                break
        if state.entry.work <= old.work:
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
        self._store.switch(
            Switch(
                height=fork.height,
                disconnected=[entry.id for entry in leaving],
                connected=joining,
                accounts={key: state.accounts.get(key, EMPTY) for key in touched},
            )
        )
        del self._active[fork.height + 1 :]
        self._active.extend(entries)
        self.state = state
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

    def _connect(self, state: State, entry: Entry, block: Block) -> tuple[State, Connected]:
        effect = connect(self.genesis, state, block, self.tree.get, self._payload)
        changed = [
            (m.root, to_bytes(p))
            for m, p in zip(effect.models, effect.parameters, strict=True)
            if m.updates
        ]
        new = State(
            entry=entry,
            accounts=applied(state.accounts, effect.accounts),
            models=effect.models,
            parameters=effect.parameters,
            counted=self._counted(entry),
        )
        return new, Connected(block, effect.undo, changed)

    def _state_below(self, fork: Entry, leaving: Iterable[Entry]) -> State:
        accounts = self.state.accounts
        for entry in leaving:
            accounts = applied(accounts, self._store.undo(entry.id).before)
        return replace(
            self.state,
            entry=fork,
            accounts=accounts,
            models=self._block(fork).coinbase.models,
            parameters=self.parameters_at(fork),
            counted=self._counted(fork),
        )

    def _counted(self, entry: Entry) -> frozenset[Once]:
        """The updates that a child of `entry` could repeat."""
        counted: set[Once] = set()
        for ancestor, _ in zip(entry.lineage(), self.genesis.discounts[1:], strict=False):
            counted |= self._once_in(ancestor)
        return frozenset(counted)

    def _once_in(self, entry: Entry) -> frozenset[Once]:
        if entry.id not in self._once:
            if len(self._once) > 4 * len(self.genesis.discounts) + 64:
                self._once.clear()  # a cache of the last blocks; what is needed comes back
            self._once[entry.id] = frozenset(u.once for u in self._block(entry).updates)
        return self._once[entry.id]

    def _refuse(self, refusal: Refusal) -> None:
        """Mark a block and all that build on it invalid; their bodies are dropped afterwards."""
        for entry in self._branches.cut(refusal.entry):
            self._invalid[entry.id] = (
                refusal.rejected
                if entry is refusal.entry
                else Rejected(Rule.PARENT_INVALID, f"builds on {display(refusal.entry.id)}")
            )
            self._lacking.pop(entry.id, None)
            self._refused.append(entry.id)

    def _drop_refused(self) -> None:
        """Forget the bodies of refused blocks; what a full disk prevents is done the next time."""
        while self._refused:
            self._store.drop_block(self._refused[-1])
            self._refused.pop()

    def _kept_parameters(self, entry: Entry) -> tuple[Fixed, ...] | None:
        if entry is self.tree.root:
            return self._genesis_parameters
        kept = []
        states = self._block(entry).coinbase.models
        for model, state, initial in zip(
            self.genesis.models, states, self._genesis_parameters, strict=True
        ):
            data = self._store.parameters(state.root)
            # A bit that the disk has flipped would split this node from its ward: computed anew.
            if data is not None and content_id(data) == state.root:
                kept.append(from_bytes(data, model.parameters))
            elif state.root.hex() == model.root:
                kept.append(initial)
            else:
                return None
        return tuple(kept)

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
