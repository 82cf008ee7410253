"""The state: what a block does is undone to the last bit, and its root says all of it."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.ledger import accounts
from edgenode.ledger.chain import Chain
from edgenode.ledger.genesis import Authority
from edgenode.ledger.mempool import Mempool
from edgenode.ledger.records import Overlay, PlainRecords, state_root
from edgenode.ledger.rules import Rejected
from edgenode.ledger.transaction import STATE_INTERVAL
from edgenode.ledger.validation import genesis_records
from tests.ledger.builder import (
    ALICE,
    BOB,
    CAROL,
    NOW,
    Bench,
    initial_parameters,
    key,
    make_genesis,
)
from tests.ledger.test_membership import MATRON, enrolment, revocation

MEMBERS = [ALICE, BOB, CAROL]


def busy_ward() -> Bench:
    return Bench(
        make_genesis(
            contributors_percent=30,
            share_window=6,
            authorities=(Authority("matron", MATRON.public.hex()),),
            authority_quorum=1,
        )
    )


def busy_block(bench: Bench, rng: random.Random, changes: int):
    """A block with something of each kind, as the chance will have it; returns it and `changes`."""
    chosen = []
    for member in rng.sample(MEMBERS, rng.randint(0, 3)):
        update, payload = bench.update(
            member, delta=rng.randint(-9, 9), examples=rng.randint(1, 500)
        )
        bench.chain.add_payload(payload)
        chosen.append(update)
    sender, recipient = rng.sample(MEMBERS, 2)
    account = accounts.account(bench.chain.state.records, sender.public)
    if account.balance > 20:
        chosen.append(bench.transfer(sender, recipient, rng.randint(1, 10), account.sequence, 2))
    pool = Mempool(bench.genesis, bench.chain.tree.get)
    for extra in [
        *(bench.endorsement(m) for m in MEMBERS if bench.chain.head.height >= 4),
        enrolment(bench, key(1000 + changes), f"box-{changes}", changes, {0: MATRON}),
        revocation(bench, key(999 + changes), changes, {0: MATRON}),
    ]:
        try:
            pool.add(extra, bench.chain.state)
        except Rejected:
            continue
    extras = pool.select(bench.chain.state)
    changes += sum(hasattr(t, "signatures") for t in extras)
    return bench.block(*chosen, *extras, miner=rng.choice(MEMBERS), seconds=700), changes


def everything(bench: Bench):
    state = bench.chain.state
    return (
        dict(state.records.under(b"")),
        state.models,
        [p.tolist() for p in state.parameters],
        state.justified,
    )


@pytest.mark.parametrize("seed", range(12))
def test_undoing_a_block_gives_back_the_whole_state(seed):
    """Grown at random, then left for a heavier branch and come back to: each state as it was."""
    rng = random.Random(seed)
    bench = busy_ward()
    changes = 0
    for _ in range(rng.randint(3, 14)):
        block, changes = busy_block(bench, rng, changes)
        bench.add(block)
    before, fork = everything(bench), bench.chain.head
    records = Overlay(bench.chain.state.records)
    trail = []
    while bench.chain.head.height < fork.height + 6:
        trail.append(everything(bench))
        block, changes = busy_block(bench, rng, changes)
        bench.add(block)
    top = bench.chain.head
    undone = Overlay(bench.chain.state.records)
    for entry in bench.chain.tree.lineage(top):
        if entry.height == fork.height:
            break
        undone.put_back(bench.store.undo(entry.id))
        assert dict(undone.under(b"")) == trail[entry.height - fork.height - 1][0]
    assert dict(undone.under(b"")) == before[0]
    assert records.changes == {}


def test_a_rejected_block_in_the_middle_of_a_move_leaves_the_state_of_the_block_before():
    bench, other = busy_ward(), busy_ward()
    rng = random.Random(5)
    changes = 0
    for _ in range(5):
        block, changes = busy_block(other, rng, changes)
        other.add(block)
        for update in block.updates:
            bench.chain.add_payload(other.chain.payload(update.payload))
        bench.chain.add_block(block, NOW)
    bad, _ = busy_block(other, rng, changes)
    for update in bad.updates:
        bench.chain.add_payload(other.chain.payload(update.payload))
    coinbase = replace(bad.coinbase, payouts=((ALICE.public, 1),))
    miner = next(m for m in MEMBERS if m.public == bad.coinbase.miner)
    bad = other.sealed(replace(bad, transactions=(coinbase, *bad.transactions[1:])), miner)
    bench.chain.add_block(bad, NOW)
    change, refusals = bench.chain.advance()
    assert (change.new.id, len(refusals)) == (other.chain.head.id, 1)
    assert everything(bench) == everything(other)


def test_a_coinbase_commits_to_the_state_after_its_parent_at_each_interval():
    bench = Bench()
    bench.grow(STATE_INTERVAL - 1)
    root = state_root(bench.chain.state.records)
    block = bench.block()
    assert block.coinbase.state == root
    assert root == state_root(PlainRecords(dict(bench.chain.state.records.under(b""))))
    coinbase = replace(block.coinbase, state=bytes(32))
    spoiled = bench.sealed(replace(block, transactions=(coinbase, *block.transactions[1:])))
    with pytest.raises(Rejected, match="state_root"):
        bench.add(spoiled)
    bench.add(block)
    assert bench.block().coinbase.state == b""


def test_the_records_of_a_new_ward_are_its_members_and_a_final_genesis():
    bench = Bench()
    assert dict(bench.chain.state.records.under(b"")) == genesis_records(bench.genesis)


def test_the_state_survives_a_restart(tmp_path):
    bench = busy_ward()
    rng = random.Random(9)
    changes = 0
    for _ in range(10):
        block, changes = busy_block(bench, rng, changes)
        bench.add(block)
    before = everything(bench)
    bench.chain = Chain(bench.genesis, (initial_parameters(),), bench.store)
    assert everything(bench) == before
    assert np.array_equal(bench.chain.state.parameters[0], before[2][0])


_KEYS = st.binary(min_size=1, max_size=2).map(lambda raw: bytes(b % 4 for b in raw))


@given(
    below=st.dictionaries(_KEYS, st.binary(max_size=2)),
    changes=st.dictionaries(_KEYS, st.none() | st.binary(max_size=2)),
    prefix=st.just(b"") | _KEYS,
)
def test_changed_records_are_listed_as_if_they_had_been_written(below, changes, prefix):
    records = Overlay(PlainRecords(below))
    for changed, value in changes.items():
        records.set(changed, value)
    written = {k: v for k, v in {**below, **changes}.items() if v is not None}
    assert list(records.under(prefix)) == sorted(
        (k, v) for k, v in written.items() if k.startswith(prefix)
    )
