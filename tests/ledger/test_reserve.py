"""Accounts of those who are no members are opened, and kept, with a block's coins."""

from dataclasses import replace

import pytest

from edgenode.ledger.mempool import Mempool
from edgenode.ledger.records import RecordKind
from edgenode.ledger.rules import Rejected, Rule
from tests.ledger.builder import ALICE, BOB, MALLORY, Bench, key

SUBSIDY = 1000


@pytest.fixture
def bench():
    """Alice has four blocks' coins."""
    bench = Bench()
    bench.grow(4)
    return bench


def refused(bench, *transfers):
    """The rule by which a block with these transfers is refused."""
    block = bench.block(miner=BOB)
    coinbase = replace(
        block.coinbase, payouts=((BOB.public, SUBSIDY + sum(t.fee for t in transfers)),)
    )
    spoiled = replace(block, transactions=(coinbase, *transfers))
    with pytest.raises(Rejected) as caught:
        bench.add(bench.sealed(spoiled, BOB))
    return caught.value.rule


def test_an_account_is_opened_with_a_blocks_coins_and_no_fewer(bench):
    too_few = bench.transfer(ALICE, MALLORY, SUBSIDY - 1, 0)
    assert refused(bench, too_few) is Rule.TRANSFER_RESERVE
    with pytest.raises(Rejected, match="transfer_reserve"):
        Mempool(bench.genesis, bench.chain.tree.get).add(too_few, bench.chain.state)
    bench.add(bench.block(bench.transfer(ALICE, MALLORY, SUBSIDY, 0), miner=BOB))
    bench.add(bench.block(bench.transfer(ALICE, MALLORY, 1, 1), miner=BOB))
    assert bench.balance(MALLORY) == SUBSIDY + 1


def test_who_is_no_member_keeps_as_many(bench):
    bench.add(bench.block(bench.transfer(ALICE, MALLORY, SUBSIDY + 100, 0), miner=BOB))
    for amount, fee in ((100, 1), (101, 0), (SUBSIDY + 100, 0)):
        back = bench.transfer(MALLORY, ALICE, amount, 0, fee)
        assert refused(bench, back) is Rule.TRANSFER_RESERVE
    assert refused(bench, bench.transfer(MALLORY, MALLORY, 5, 0, 101)) is Rule.TRANSFER_RESERVE
    bench.add(bench.block(bench.transfer(MALLORY, MALLORY, 500, 0, 20), miner=BOB))
    bench.add(bench.block(bench.transfer(MALLORY, ALICE, 79, 1, 1), miner=BOB))
    assert bench.balance(MALLORY) == SUBSIDY


def test_a_member_spends_all_it_has(bench):
    bench.add(bench.block(bench.transfer(ALICE, BOB, 4 * SUBSIDY - 1, 0), miner=BOB))
    assert bench.balance(ALICE) == 0


def test_coins_that_go_from_hand_to_hand_in_a_block_open_one_account(bench):
    strangers = [key(2000 + n) for n in range(3)]
    first = bench.transfer(ALICE, strangers[0], SUBSIDY, 0)
    onwards = bench.transfer(strangers[0], strangers[1], SUBSIDY, 0, 0)
    assert refused(bench, first, onwards) is Rule.TRANSFER_RESERVE


def test_a_payout_opens_an_account_with_a_blocks_coins(bench):
    block = bench.block()
    payouts = ((ALICE.public, 1), (MALLORY.public, SUBSIDY - 1))
    spoiled = replace(block, transactions=(replace(block.coinbase, payouts=payouts),))
    with pytest.raises(Rejected, match="coinbase_payouts"):
        bench.add(bench.sealed(spoiled))
    opened = replace(
        block, transactions=(replace(block.coinbase, payouts=((MALLORY.public, SUBSIDY),)),)
    )
    bench.add(bench.sealed(opened))
    block = bench.block()
    more = replace(block, transactions=(replace(block.coinbase, payouts=payouts),))
    bench.add(bench.sealed(more))
    assert bench.balance(MALLORY) == 2 * SUBSIDY - 1


def test_there_are_never_more_accounts_than_members_and_blocks(bench):
    """Each stranger's account holds what a block has brought."""
    for number in range(4):
        opening = bench.transfer(ALICE, key(3000 + number), SUBSIDY, number, 0)
        bench.add(bench.block(opening, miner=BOB))
    one_more = bench.transfer(ALICE, key(3004), SUBSIDY, 4, 0)
    assert refused(bench, one_more) is Rule.TRANSFER_BALANCE
    held = list(bench.chain.state.records.under(bytes([RecordKind.ACCOUNT])))
    assert len(held) == 2 + 4
