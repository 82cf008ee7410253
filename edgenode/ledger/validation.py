"""Full validation of a block: its form, then its content in the context of its parent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgenode.learning import update_codec
from edgenode.learning.aggregation import AggregationRule, WeightedUpdate, fedavg
from edgenode.learning.fixed_point import Fixed, to_bytes
from edgenode.ledger.accounts import Account, Accounts, AccountsUndo, Bookkeeping
from edgenode.ledger.block import Block, is_signed_block
from edgenode.ledger.genesis import Genesis, Model
from edgenode.ledger.hashes import content_id, display
from edgenode.ledger.headers import Entry
from edgenode.ledger.merkle import is_mutated, merkle_root
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.transaction import Coinbase, ModelState, Transfer, Update

Once = tuple[int, bytes, bytes]
"""Model, member and base of an update: what a chain holds at most once."""


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the chain up to `entry` brings about.

    `parameters` and `models` hold one item for each model of genesis, in its order; `counted`
    names the updates of the last blocks, as far back as a fresh block could repeat one.
    """

    entry: Entry
    accounts: Accounts
    models: tuple[ModelState, ...]
    parameters: tuple[Fixed, ...]
    counted: frozenset[Once]


@dataclass(frozen=True, slots=True)
class Effect:
    """What one block does to the state, and how to take it back."""

    accounts: Mapping[bytes, Account]
    undo: AccountsUndo
    models: tuple[ModelState, ...]
    parameters: tuple[Fixed, ...]


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
    if len(block.coinbase.models) != len(genesis.models):
        raise Rejected(
            Rule.COINBASE_MODELS, f"{len(block.coinbase.models)} models, not {len(genesis.models)}"
        )
    if block.coinbase.miner not in genesis.member_keys:
        raise Rejected(Rule.BLOCK_MEMBER, f"{block.coinbase.miner.hex()} is no member")
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
    if update.member not in genesis.member_keys:
        raise Rejected(Rule.UPDATE_MEMBER, f"{update.member.hex()} is no member")
    if not 1 <= update.examples <= genesis.examples_cap:
        raise Rejected(
            Rule.UPDATE_EXAMPLES,
            f"{update.examples} examples; an update may claim 1 to {genesis.examples_cap}",
        )
    expected = update_codec.encoded_length(model.parameters, model.codec)
    if update.payload_length != expected:
        raise Rejected(
            Rule.PAYLOAD_LENGTH, f"payload of {update.payload_length} bytes, not {expected}"
        )
    if not update.is_signed(genesis.id):
        raise Rejected(Rule.UPDATE_SIGNATURE, "the signature is not the member's")
    return model


def check_payload(model: Model, update: Update, payload: bytes) -> Fixed:
    """Check the payload that an update names; returns the differences, shape (n,).

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
    for age, ancestor in zip(range(len(genesis.discounts)), parent.lineage(), strict=False):
        if ancestor is base:
            return age
    raise Rejected(Rule.UPDATE_BASE_UNKNOWN, f"base {display(base_id)} is not in this chain")


def aggregate(
    model: Model, before: ModelState, current: Fixed, updates: list[tuple[Update, Fixed, int]]
) -> tuple[ModelState, Fixed]:
    """The model's state after a block with these updates (each with differences and weight)."""
    if not updates:
        return ModelState(before.round, 0, 0, before.root), current
    match model.rule:
        case AggregationRule.FEDAVG:
            new = fedavg(current, (WeightedUpdate(delta, weight) for _, delta, weight in updates))
    examples = sum(update.examples for update, _, _ in updates)
    state = ModelState(before.round + 1, len(updates), examples, content_id(to_bytes(new)))
    return state, new


def connect(
    genesis: Genesis,
    state: State,
    block: Block,
    lookup: Callable[[bytes], Entry | None],
    payload: Callable[[bytes], bytes],
) -> Effect:
    """Check a well-formed block on top of `state` and work out what it does.

    Args:
        genesis: the constants.
        state: the state at the block's parent.
        block: a block that passed `check_form`.
        lookup: finds a known header by block id.
        payload: gives the bytes of a payload by content id.

    Raises:
        Rejected: the block violates a rule.
    """
    books = Bookkeeping(state.accounts)
    fees = 0
    for transaction in block.transactions:
        if isinstance(transaction, Transfer):
            books.transfer(transaction, genesis.id)
            fees += transaction.fee
    reward = genesis.subsidy + fees
    coinbase = block.coinbase
    if coinbase.height != state.entry.height + 1:
        raise Rejected(
            Rule.COINBASE_HEIGHT, f"height {coinbase.height}, not {state.entry.height + 1}"
        )
    if coinbase.reward != reward:
        raise Rejected(Rule.COINBASE_REWARD, f"reward {coinbase.reward}, not {reward}")
    books.credit(coinbase.miner, reward)

    models, parameters = evolve(genesis, state, block.updates, lookup, payload)
    _check_commitments(coinbase, models)
    return Effect(books.changes, books.undo(), models, parameters)


def evolve(
    genesis: Genesis,
    state: State,
    updates: list[Update],
    lookup: Callable[[bytes], Entry | None],
    payload: Callable[[bytes], bytes],
) -> tuple[tuple[ModelState, ...], tuple[Fixed, ...]]:
    """All models after a block with these updates on top of `state`; arguments as `connect`.

    Raises:
        Rejected: an update violates a rule.
    """
    counted = set(state.counted)
    by_model: list[list[tuple[Update, Fixed, int]]] = [[] for _ in genesis.models]
    for update in updates:
        model = check_update(genesis, update)
        age = base_age(genesis, update.base, state.entry, lookup)
        if update.once in counted:
            raise Rejected(Rule.UPDATE_REPEATED, "the member's update on this base is counted")
        counted.add(update.once)
        delta = check_payload(model, update, payload(update.payload))
        by_model[update.model].append((update, delta, update.examples * genesis.discounts[age]))
    results = [
        aggregate(model, before, current, of_model)
        for model, before, current, of_model in zip(
            genesis.models, state.models, state.parameters, by_model, strict=True
        )
    ]
    return tuple(s for s, _ in results), tuple(p for _, p in results)


def _check_commitments(coinbase: Coinbase, models: tuple[ModelState, ...]) -> None:
    for index, (claimed, true) in enumerate(zip(coinbase.models, models, strict=True)):
        if claimed.root != true.root:
            raise Rejected(
                Rule.AGGREGATE_ROOT,
                f"model {index}: root {claimed.root.hex()}, not {true.root.hex()}",
            )
        if claimed != true:
            raise Rejected(Rule.COINBASE_MODELS, f"model {index}: {claimed}, not {true}")
