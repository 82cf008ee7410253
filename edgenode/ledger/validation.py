"""Full validation of a block: its form, then its content in the context of its parent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgenode.learning import update_codec
from edgenode.learning.aggregation import AggregationRule, FedAvg
from edgenode.learning.fixed_point import Fixed, to_bytes
from edgenode.ledger import accounts, block_share, counted_updates, finality, membership
from edgenode.ledger.block import CHANGES_LIMIT, Block, is_signed_block
from edgenode.ledger.endorsement import Endorsement
from edgenode.ledger.enrolment import Enrolment, Revocation
from edgenode.ledger.genesis import Genesis, Model
from edgenode.ledger.hashes import content_id, display
from edgenode.ledger.headers import Entry, Lookup, lineage
from edgenode.ledger.keys import is_public_key
from edgenode.ledger.merkle import is_mutated, merkle_root
from edgenode.ledger.records import Overlay, Records, state_root
from edgenode.ledger.rewards import contributions, miners_part
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.transaction import (
    Coinbase,
    ModelState,
    Transaction,
    Transfer,
    Update,
    holds_state_root,
)


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the chain up to `entry` brings about.

    `parameters` and `models` hold one item for each model of genesis, in its order; `records` is
    all else, `justified` the height of the highest justified checkpoint in them.
    """

    entry: Entry
    records: Records
    models: tuple[ModelState, ...]
    parameters: tuple[Fixed, ...]
    justified: int

    @property
    def rank(self) -> tuple[int, int]:
        """What is compared in the choice of a branch: justified height, then work."""
        return self.justified, self.entry.work


def genesis_records(genesis: Genesis) -> dict[bytes, bytes]:
    """The records after the genesis block."""
    return membership.found(genesis) | finality.found(genesis.id)


def check_form(genesis: Genesis, block: Block) -> None:
    """Check what needs neither parent nor payloads.

    Raises:
        Rejected: it violates a rule.
    """
    transactions = block.transactions
    if not transactions or not isinstance(transactions[0], Coinbase):
        raise Rejected(Rule.COINBASE_MISSING, "the first transaction is no coinbase")
    if any(isinstance(t, Coinbase) for t in transactions[1:]):
        raise Rejected(Rule.COINBASE_TWICE, "a second coinbase")
    if is_mutated(block.leaves):
        raise Rejected(Rule.MERKLE_MUTATED, "two equal hashes side by side in the merkle tree")
    if merkle_root(block.leaves) != block.header.merkle_root:
        raise Rejected(Rule.MERKLE_ROOT, "the header's root is not that of the transactions")
    if len(block.updates) > genesis.updates_per_block:
        raise Rejected(
            Rule.UPDATE_COUNT, f"{len(block.updates)} updates of {genesis.updates_per_block}"
        )
    if len(block.transfers) > genesis.transfers_per_block:
        raise Rejected(
            Rule.TRANSFER_COUNT,
            f"{len(block.transfers)} transfers of {genesis.transfers_per_block}",
        )
    if len(block.changes) > CHANGES_LIMIT:
        raise Rejected(Rule.CHANGE_COUNT, f"{len(block.changes)} changes of {CHANGES_LIMIT}")
    if len(block.endorsements) > genesis.endorsements_per_block:
        raise Rejected(
            Rule.ENDORSEMENT_COUNT,
            f"{len(block.endorsements)} endorsements of {genesis.endorsements_per_block}",
        )
    if len(block.coinbase.models) != len(genesis.models):
        raise Rejected(
            Rule.COINBASE_MODELS, f"{len(block.coinbase.models)} models, not {len(genesis.models)}"
        )
    if not is_signed_block(block, genesis.id):
        raise Rejected(Rule.BLOCK_SIGNATURE, "the signature is not the miner's")
    for update in block.updates:
        check_update(genesis, update)


def check_update(genesis: Genesis, update: Update) -> Model:
    """Check what an update says of itself; returns its model.

    Raises:
        Rejected: it violates a rule.
    """
    if update.model >= len(genesis.models):
        raise Rejected(Rule.UPDATE_MODEL, f"model {update.model} of {len(genesis.models)}")
    model = genesis.models[update.model]
    if not 1 <= update.examples <= genesis.examples_cap:
        raise Rejected(
            Rule.UPDATE_EXAMPLES,
            f"{update.examples} examples; an update may claim 1 to {genesis.examples_cap}",
        )
    lengths = update_codec.payload_lengths(model.parameters, model.codec)
    if update.payload_length not in lengths:
        raise Rejected(
            Rule.PAYLOAD_LENGTH, f"payload of {update.payload_length} bytes, not {lengths}"
        )
    if not update.is_signed(genesis.id):
        raise Rejected(Rule.UPDATE_SIGNATURE, "the signature is not the member's")
    return model


def check_payload(model: Model, update: Update, payload: bytes) -> Fixed:
    """Check the payload that an update names; returns the differences in it, shape (n,).

    Raises:
        Rejected: it violates a rule.
    """
    if len(payload) != update.payload_length:
        raise Rejected(
            Rule.PAYLOAD_LENGTH, f"payload of {len(payload)} bytes, not {update.payload_length}"
        )
    if content_id(payload) != update.payload:
        raise Rejected(Rule.PAYLOAD_HASH, "the payload has another content id")
    try:
        return update_codec.decode(payload, model.parameters, model.codec)
    except update_codec.CodingError as error:
        raise Rejected(Rule.PAYLOAD_CODING, str(error)) from None


def base_age(
    genesis: Genesis, base_id: bytes, parent: Entry, lookup: Callable[[bytes], Entry | None]
) -> int:
    """How many blocks an update's base lies behind `parent`, the block it is to build on.

    Raises:
        Rejected: the base is no ancestor, or too far back.
    """
    base = lookup(base_id)
    if base is not None and parent.height - base.height >= len(genesis.discounts):
        raise Rejected(
            Rule.UPDATE_BASE_STALE,
            f"base {parent.height - base.height} blocks back; up to "
            f"{len(genesis.discounts) - 1} count",
        )
    for age, ancestor in zip(range(len(genesis.discounts)), lineage(parent, lookup), strict=False):
        if ancestor == base:
            return age
    raise Rejected(Rule.UPDATE_BASE_UNKNOWN, f"base {display(base_id)} is not in this chain")


def check_in_chain(
    genesis: Genesis,
    records: Records,
    update: Update,
    parent: Entry,
    lookup: Callable[[bytes], Entry | None],
) -> int:
    """Check an update in the context of the block that it is to build on; returns its base's age.

    Raises:
        Rejected: it violates a rule.
    """
    age = base_age(genesis, update.base, parent, lookup)
    if counted_updates.is_counted(records, update, parent.height - age):
        raise Rejected(Rule.UPDATE_REPEATED, "the member's update on this base is counted")
    return age


def check_members(genesis: Genesis, records: Records, parent: Entry, block: Block) -> None:
    """Check who speaks in a block on top of `parent`, whose records these are.

    It needs no payload, and nothing that the block itself changes.

    Raises:
        Rejected: it violates a rule.
    """
    coinbase, height = block.coinbase, parent.height + 1
    if coinbase.height != height:
        raise Rejected(Rule.COINBASE_HEIGHT, f"height {coinbase.height}, not {height}")
    if not membership.is_member(records, coinbase.miner):
        raise Rejected(Rule.BLOCK_MEMBER, f"{coinbase.miner.hex()} is no member")
    block_share.check_share(genesis, records, coinbase.miner, block.header.time, parent.header.time)
    for update in block.updates:
        check_update_member(records, update)


def check_update_member(records: Records, update: Update) -> None:
    """Check that an update is a member's, by the records at the parent of its block.

    Raises:
        Rejected: it violates a rule.
    """
    if not membership.is_member(records, update.member):
        raise Rejected(Rule.UPDATE_MEMBER, f"{update.member.hex()} is no member")


class Aggregate:
    """What the updates of a block make of one model; holds their sums, and a few of them."""

    def __init__(self, model: Model, before: ModelState, current: Fixed) -> None:
        """Begin with the state and the parameters, shape (n,), at the parent."""
        self._model = model
        self._before = before
        self._current = current
        self._average: FedAvg | None = None
        self._updates = 0
        self._examples = 0

    def add(self, update: Update, payload: bytes, discount: int) -> None:
        """Count an update of this model.

        Raises:
            Rejected: the payload violates a rule.
        """
        delta = check_payload(self._model, update, payload)
        if self._average is None:
            match self._model.rule:
                case AggregationRule.FEDAVG:
                    self._average = FedAvg(self._current)
        self._average.add(delta, update.examples * discount)
        self._updates += 1
        self._examples += update.examples

    def result(self) -> tuple[ModelState, Fixed]:
        """The model's state and parameters after the block."""
        before = self._before
        if self._average is None:
            return ModelState(before.round, 0, 0, before.root), self._current
        new = self._average.result()
        root = content_id(to_bytes(new))
        return ModelState(before.round + 1, self._updates, self._examples, root), new


def evolve(
    genesis: Genesis,
    models: tuple[ModelState, ...],
    parameters: tuple[Fixed, ...],
    updates: Sequence[tuple[Update, int]],
    payload: Callable[[bytes], bytes],
) -> tuple[tuple[ModelState, ...], tuple[Fixed, ...]]:
    """All models after a block with these updates, each with its base's age.

    Payloads are asked for one at a time, and let go a few at a time (`FedAvg`).

    Raises:
        Rejected: a payload violates a rule.
    """
    aggregates = [
        Aggregate(model, before, current)
        for model, before, current in zip(genesis.models, models, parameters, strict=True)
    ]
    for update, age in updates:
        aggregates[update.model].add(update, payload(update.payload), genesis.discounts[age])
    results = [aggregate.result() for aggregate in aggregates]
    return tuple(s for s, _ in results), tuple(p for _, p in results)


def connect(
    genesis: Genesis,
    state: State,
    records: Overlay,
    block: Block,
    *,
    lookup: Callable[[bytes], Entry | None],
    payload: Callable[[bytes], bytes],
) -> tuple[tuple[ModelState, ...], tuple[Fixed, ...]]:
    """Check a well-formed block on top of `state` and change `records` to those after it.

    Args:
        genesis: the constants.
        state: the state at the block's parent.
        records: those of `state`; when the block is rejected, the caller rolls them back.
        block: a block that passed `check_form`.
        lookup: finds a known header by block id.
        payload: gives the bytes of a payload by content id.

    Returns:
        All models' states and parameters after the block.

    Raises:
        Rejected: the block violates a rule.
    """
    coinbase, parent = block.coinbase, state.entry
    height = parent.height + 1
    check_members(genesis, records, parent, block)
    if holds_state_root(height) and coinbase.state != (root := state_root(records)):
        raise Rejected(Rule.STATE_ROOT, f"state {coinbase.state.hex()}, not {root.hex()}")
    apply_transactions(genesis, records, block.transactions[1:], parent, lookup)
    updates = block.updates
    ages = [count_update(genesis, records, update, parent, lookup) for update in updates]
    _pay(genesis, records, coinbase, updates, sum(t.fee for t in block.transfers))
    counted_updates.forget_stale(genesis, records, height)
    block_share.note(genesis, records, coinbase.miner, height)
    models, parameters = evolve(
        genesis, state.models, state.parameters, list(zip(updates, ages, strict=True)), payload
    )
    _check_commitments(coinbase, models)
    return models, parameters


def count_update(
    genesis: Genesis,
    records: Overlay,
    update: Update,
    parent: Entry,
    lookup: Callable[[bytes], Entry | None],
) -> int:
    """Check an update of a block on top of `parent` and note it; returns its base's age.

    Raises:
        Rejected: it violates a rule.
    """
    check_update(genesis, update)
    age = check_in_chain(genesis, records, update, parent, lookup)
    counted_updates.note(records, update, parent.height - age)
    return age


def apply_transactions(
    genesis: Genesis,
    records: Overlay,
    transactions: Sequence[Transaction],
    parent: Entry,
    lookup: Lookup,
) -> None:
    """Carry out all but coinbase and updates of a block on top of `parent`, in block order.

    Raises:
        Rejected: one violates a rule.
    """
    height = parent.height + 1
    at = ancestors(parent, lookup)
    settled = finality.final(records).height
    for transaction in transactions:
        match transaction:
            case Transfer():
                accounts.carry_out(genesis, records, transaction)
            case Enrolment() | Revocation():
                membership.carry_out(genesis, records, transaction, height, settled)
            case Endorsement():
                finality.count(genesis, records, transaction, height, at)
    targets = [t.target_height for t in transactions if isinstance(t, Endorsement)]
    finality.settle(genesis, records, height, targets, at)


def ancestors(entry: Entry, lookup: Lookup) -> Callable[[int], bytes]:
    """Gives the id of the entry's ancestor at a height."""

    def at(height: int) -> bytes:
        return next(found for found in lineage(entry, lookup) if found.height == height).id

    return at


def _pay(
    genesis: Genesis, records: Overlay, coinbase: Coinbase, updates: list[Update], fees: int
) -> None:
    payees = {key for key, amount in coinbase.payouts if amount and is_public_key(key)}
    if len(payees) != len(coinbase.payouts):
        raise Rejected(Rule.COINBASE_PAYOUTS, "a payout of nothing, to no key, or two to one key")
    shares = contributions(genesis, updates)
    owed = miners_part(genesis, fees, shares)
    if coinbase.reward != owed:
        raise Rejected(Rule.COINBASE_REWARD, f"reward {coinbase.reward}, not {owed}")
    for key, amount in coinbase.payouts:
        if not accounts.may_be_paid(genesis, records, key, amount):
            raise Rejected(
                Rule.COINBASE_PAYOUTS,
                f"{key.hex()} is no member and would hold less than {genesis.subsidy} coins",
            )
    for key, amount in (*coinbase.payouts, *shares):
        accounts.credit(records, key, amount)


def _check_commitments(coinbase: Coinbase, models: tuple[ModelState, ...]) -> None:
    for index, (claimed, true) in enumerate(zip(coinbase.models, models, strict=True)):
        if claimed.root != true.root:
            raise Rejected(
                Rule.AGGREGATE_ROOT,
                f"model {index}: root {claimed.root.hex()}, not {true.root.hex()}",
            )
        if claimed != true:
            raise Rejected(Rule.COINBASE_MODELS, f"model {index}: {claimed}, not {true}")
