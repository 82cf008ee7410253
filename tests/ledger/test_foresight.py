"""No payload is asked for that belongs to a block of somebody who does not belong to the ward."""

from dataclasses import replace

import pytest

from edgenode.ledger.headers import expected_target
from edgenode.ledger.rules import Rule
from tests.ledger.builder import ALICE, BOB, CAROL, MALLORY, NOW, Bench, mined
from tests.ledger.test_membership import DAVE, enrolment, governed, revocation


@pytest.fixture
def bench():
    bench = governed()
    bench.grow(2)
    return bench


def copy_of(bench):
    """Another node with the same chain."""
    other = Bench(bench.genesis)
    for height in range(1, bench.chain.head.height + 1):
        other.add(bench.chain.block(bench.chain.at(height).id))
    return other


def updated(maker, member, miner):
    """A block with an update, by one who has the payload."""
    update, payload = maker.update(member)
    maker.chain.add_payload(payload)
    return maker.sealed(maker.block(update, miner=miner), miner)


def offered(bench, *blocks):
    """What the node wants after it was given blocks, and the rules of what it refuses."""
    for block in blocks:
        bench.chain.add_block(block, NOW)
    wanted = bench.chain.wanted(64)
    change, refusals = bench.chain.advance()
    assert change is None
    return wanted, [refusal.rejected.rule for refusal in refusals]


def test_payloads_of_a_members_block_are_wanted(bench):
    block = updated(copy_of(bench), BOB, CAROL)
    wanted, refused = offered(bench, block)
    assert [update.member for update in wanted.updates] == [BOB.public]
    assert refused == []


@pytest.mark.parametrize(
    ("member", "miner", "rule"),
    [(BOB, MALLORY, Rule.BLOCK_MEMBER), (MALLORY, BOB, Rule.UPDATE_MEMBER)],
)
def test_those_of_a_strangers_block_are_not(bench, member, miner, rule):
    block = updated(copy_of(bench), member, miner)
    wanted, refused = offered(bench, block)
    assert (wanted.updates, wanted.blocks) == ((), ())
    assert refused == [rule]
    assert bench.chain.invalid(block.id).rule is rule
    assert bench.chain.wanted(64).updates == ()


@pytest.mark.parametrize(
    ("member", "miner", "rule"),
    [(BOB, MALLORY, Rule.BLOCK_MEMBER), (MALLORY, BOB, Rule.UPDATE_MEMBER)],
)
def test_nor_those_of_one_on_a_branch(bench, member, miner, rule):
    other = copy_of(bench)
    bench.grow(1)
    beside = other.add(other.block(miner=BOB))
    wanted, refused = offered(bench, beside, updated(other, member, miner))
    assert wanted.updates == ()
    assert refused == [rule]


def test_who_was_enrolled_on_a_branch_speaks_there(bench):
    other = copy_of(bench)
    bench.grow(1)
    beside = other.add(other.block(enrolment(other), miner=BOB))
    wanted, refused = offered(bench, beside, updated(other, DAVE, DAVE))
    assert [update.member for update in wanted.updates] == [DAVE.public]
    assert refused == []


def test_who_was_revoked_on_the_chain_only_speaks_on_a_branch(bench):
    other = copy_of(bench)
    bench.add(bench.block(revocation(bench)))
    beside = other.add(other.block(miner=ALICE, seconds=91))
    wanted, refused = offered(bench, beside, updated(other, CAROL, CAROL))
    assert [update.member for update in wanted.updates] == [CAROL.public]
    assert refused == []


def test_branches_on_a_strangers_block_go_with_it(bench):
    maker = copy_of(bench)
    block = updated(maker, BOB, MALLORY)
    parent = bench.chain.add_block(block, NOW)
    target = expected_target(bench.genesis, parent, bench.chain.tree.get)
    for number in range(3):
        header = replace(
            block.header,
            previous=block.id,
            time=block.header.time + 1,
            target=target,
            merkle_root=number.to_bytes(32),
        )
        bench.chain.add_header(mined(header), NOW)
    wanted, refused = offered(bench)
    assert (wanted.updates, wanted.blocks) == ((), ())
    assert refused == [Rule.BLOCK_MEMBER]
    assert bench.chain.best_header() == bench.chain.head
