"""Block templates: what a miner searches a nonce for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from edgenode.ledger import block_share
from edgenode.ledger.accounts import may_be_paid
from edgenode.ledger.block import Block, sign_block
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.hashes import sha256d
from edgenode.ledger.header import HEADER_VERSION, Header
from edgenode.ledger.headers import Entry, earliest_time, expected_target
from edgenode.ledger.keys import MemberKey
from edgenode.ledger.merkle import first_leaf_branch, fold
from edgenode.ledger.records import state_root
from edgenode.ledger.rewards import contributions, miners_part, split
from edgenode.ledger.target import expand
from edgenode.ledger.transaction import (
    EXTRANONCE_BYTES,
    EXTRANONCE_OFFSET,
    Coinbase,
    Transaction,
    Transfer,
    Update,
    holds_state_root,
    leaf,
)
from edgenode.ledger.validation import State, base_age, evolve


@dataclass(frozen=True, slots=True)
class Work:
    """A template in a miner's terms, as in Stratum: the miner fills in extranonce and nonce.

    The coinbase is `coinbase_head` ‖ extranonce (8 bytes) ‖ `coinbase_tail`; `branch` folds its
    SHA-256d up to the merkle root. `time` in Unix seconds, `target` in compact form.
    """

    height: int
    version: int
    previous: bytes
    coinbase_head: bytes
    coinbase_tail: bytes
    branch: tuple[bytes, ...]
    time: int
    target: int

    def header(self, extranonce: bytes, nonce: int, time: int | None = None) -> Header:
        """The header with these values in place."""
        coinbase = self.coinbase_head + extranonce + self.coinbase_tail
        return Header(
            version=self.version,
            previous=self.previous,
            merkle_root=fold(sha256d(coinbase), list(self.branch)),
            time=self.time if time is None else time,
            target=self.target,
            nonce=nonce,
        )

    @property
    def target_number(self) -> int:
        """The target as a 256-bit number."""
        return expand(self.target)


@dataclass(frozen=True, slots=True)
class Template:
    """A block without nonce, extranonce and signature."""

    coinbase: Coinbase
    transactions: tuple[Transaction, ...]
    work: Work

    def block(self, extranonce: bytes, nonce: int, time: int, key: MemberKey, ward: bytes) -> Block:
        """The finished block; whether it meets the target is for the chain to say.

        Raises:
            ValueError: the extranonce has the wrong length, or nonce or time exceed 32 bits.
        """
        if len(extranonce) != EXTRANONCE_BYTES:
            raise ValueError(f"an extranonce has {EXTRANONCE_BYTES} bytes, not {len(extranonce)}")
        if not (0 <= nonce < 2**32 and 0 <= time < 2**32):
            raise ValueError("nonce and time are unsigned 32-bit numbers")
        header = self.work.header(extranonce, nonce, time)
        coinbase = replace(self.coinbase, extranonce=extranonce)
        return Block(header, sign_block(header, key, ward), (coinbase, *self.transactions))


def build_template(
    genesis: Genesis,
    state: State,
    transactions: Sequence[Transaction],
    *,
    miner: bytes,
    now: int,
    lookup: Callable[[bytes], Entry | None],
    payload: Callable[[bytes], bytes],
    shared: Sequence[tuple[bytes, int]] = (),
) -> Template:
    """A template on top of `state` that pays `miner` (public key), or by weight also others.

    The transactions must be valid in this order on top of `state`, as the mempool selects
    them. `now` is this node's clock in Unix seconds; `shared` are at most `PAYOUTS_LIMIT` − 1
    public keys with weights, which the miner's reward is split by. What would not open an account
    stays with the miner.
    """
    fees = sum(t.fee for t in transactions if isinstance(t, Transfer))
    updates = [t for t in transactions if isinstance(t, Update)]
    aged = [(u, base_age(genesis, u.base, state.entry, lookup)) for u in updates]
    models, _ = evolve(genesis, state.models, state.parameters, aged, payload)
    reward = miners_part(genesis, fees, contributions(genesis, updates))
    height = state.entry.height + 1
    coinbase = Coinbase(
        height=height,
        extranonce=bytes(EXTRANONCE_BYTES),
        miner=miner,
        payouts=tuple(
            split(
                reward,
                miner,
                shared,
                lambda key, amount: may_be_paid(genesis, state.records, key, amount),
            )
        ),
        models=models,
        state=state_root(state.records) if holds_state_root(height) else b"",
    )
    raw = coinbase.encode()
    unhurried = block_share.earliest(genesis, state.records, miner, state.entry.header.time)
    work = Work(
        height=coinbase.height,
        version=HEADER_VERSION,
        previous=state.entry.id,
        coinbase_head=raw[:EXTRANONCE_OFFSET],
        coinbase_tail=raw[EXTRANONCE_OFFSET + EXTRANONCE_BYTES :],
        branch=tuple(first_leaf_branch([leaf(coinbase), *map(leaf, transactions)])),
        time=max(now, earliest_time(genesis, state.entry, lookup), unhurried),
        target=expected_target(genesis, state.entry, lookup),
    )
    return Template(coinbase, tuple(transactions), work)
