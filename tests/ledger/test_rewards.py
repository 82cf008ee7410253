"""Who gets a block's coins: its miner, those it shares with, and those whose updates it counts."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.ledger.accounts import accounts
from edgenode.ledger.rewards import split
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.template import build_template
from tests.ledger.builder import ALICE, BOB, CAROL, Bench, make_genesis

keys = st.sampled_from([bytes([n]) * 32 for n in range(6)])


@pytest.fixture
def bench() -> Bench:
    return Bench(make_genesis(contributors_percent=50))


def all_coins(bench) -> int:
    return sum(a.balance for a in accounts(bench.chain.state.records).values())


def test_contributors_get_their_part_by_examples_and_the_miner_what_rounding_leaves(bench):
    pairs = [bench.update(ALICE, examples=100), bench.update(BOB, examples=50)]
    for _, payload in pairs:
        bench.chain.add_payload(payload)
    bench.add(bench.block(*(update for update, _ in pairs), miner=CAROL))
    assert (bench.balance(ALICE), bench.balance(BOB), bench.balance(CAROL)) == (333, 166, 501)


def test_without_updates_the_miner_gets_all(bench):
    bench.grow(1)
    assert bench.balance(ALICE) == 1000


def test_coins_are_made_by_blocks_only(bench):
    for n in range(6):
        bench.round(ALICE, BOB, miner=(ALICE, BOB, CAROL)[n % 3])
        if n > 2:
            sequence = n - 3
            bench.add(bench.block(bench.transfer(ALICE, CAROL, 10, sequence, fee=3), miner=BOB))
        assert all_coins(bench) == 1000 * bench.chain.head.height


def shared_block(bench, *weights):
    template = build_template(
        bench.genesis,
        bench.chain.state,
        [],
        miner=ALICE.public,
        now=bench.chain.head.header.time + 90,
        lookup=bench.chain.tree.get,
        payload=lambda name: b"",
        shared=[(member.public, weight) for member, weight in weights],
    )
    block = template.block(bytes(8), 0, template.work.time, ALICE, bench.genesis.id)
    return bench.sealed(block)


def test_a_miner_shares_its_reward_by_weight(bench):
    bench.add(shared_block(bench, (ALICE, 1), (BOB, 2), (CAROL, 4)))
    assert (bench.balance(ALICE), bench.balance(BOB), bench.balance(CAROL)) == (144, 285, 571)


def spoiled(bench, payouts):
    block = bench.block()
    coinbase = replace(block.coinbase, payouts=payouts)
    return bench.sealed(replace(block, transactions=(coinbase, *block.transactions[1:])))


@pytest.mark.parametrize(
    ("payouts", "rule"),
    [
        (((ALICE.public, 500), (ALICE.public, 500)), Rule.COINBASE_PAYOUTS),
        (((ALICE.public, 1000), (BOB.public, 0)), Rule.COINBASE_PAYOUTS),
        (((b"\x02" + bytes(30) + b"\x80", 1000),), Rule.COINBASE_PAYOUTS),
        ((), Rule.COINBASE_REWARD),
        (((ALICE.public, 1001),), Rule.COINBASE_REWARD),
        (((ALICE.public, 2**64 - 1), (BOB.public, 1001)), Rule.COINBASE_REWARD),
    ],
)
def test_payouts_that_are_not_the_reward_or_not_in_its_one_form_are_refused(bench, payouts, rule):
    with pytest.raises(Rejected) as caught:
        bench.add(spoiled(bench, payouts))
    assert caught.value.rule is rule


def test_in_a_ward_without_subsidy_a_block_pays_nobody():
    bench = Bench(make_genesis(subsidy=0))
    bench.grow(1)
    assert bench.chain.block(bench.chain.head.id).coinbase.payouts == ()


@given(
    st.integers(0, 2**64 - 1), keys, st.lists(st.tuples(keys, st.integers(1, 2**62)), max_size=9)
)
def test_a_split_pays_out_all_each_key_once_and_nobody_nothing(amount, miner, weights):
    payouts = split(amount, miner, weights)
    assert sum(share for _, share in payouts) == amount
    assert len({key for key, _ in payouts}) == len(payouts)
    assert all(share for _, share in payouts)
    assert {key for key, _ in payouts} <= {miner, *(key for key, _ in weights)}
