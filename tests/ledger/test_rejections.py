"""Each rule refuses what it is named for, and nothing of the refused thing is kept."""

from dataclasses import replace

import numpy as np
import pytest

from edgenode.learning import update_codec
from edgenode.ledger.block import Block
from edgenode.ledger.hashes import content_id
from edgenode.ledger.headers import median_time_past
from edgenode.ledger.keys import MemberKey
from edgenode.ledger.mempool import Mempool
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.target import expand, meets
from edgenode.ledger.transaction import ModelState
from edgenode.ledger.validation import check_payload
from tests.ledger.builder import ALICE, BOB, MALLORY, NOW, Bench, make_genesis, mined


@pytest.fixture
def bench() -> Bench:
    return Bench()


def refused(bench: Bench, block: Block, rule: Rule, *payloads: bytes, now: int = NOW) -> None:
    """Offer a block and its payloads; it must be refused by that rule, without a trace."""
    head, state = bench.chain.head, bench.chain.state
    known = bench.known()
    with pytest.raises(Rejected) as caught:
        bench.add(block, *payloads, now=now)
    assert caught.value.rule is rule, caught.value
    assert bench.chain.head is head
    assert bench.chain.state is state
    assert bench.known() == known
    assert block.id in known or not bench.store.has_block(block.id)


def with_header(bench: Bench, block: Block, *, mine: bool = True, **changes: object) -> Block:
    header = replace(block.header, **changes)  # type: ignore[arg-type]
    return bench.signed(replace(block, header=mined(header) if mine else header))


def with_coinbase(bench: Bench, block: Block, **changes: object) -> Block:
    coinbase = replace(block.coinbase, **changes)  # type: ignore[arg-type]
    return bench.sealed(replace(block, transactions=(coinbase, *block.transactions[1:])))


# Header fields, one by one


def test_another_header_version(bench):
    refused(bench, with_header(bench, bench.block(), version=2), Rule.HEADER_VERSION)


def test_a_parent_that_was_refused(bench):
    bad = with_coinbase(bench, bench.block(), payouts=((ALICE.public, 1),))
    refused(bench, bad, Rule.COINBASE_REWARD)
    child = with_header(bench, bench.block(), previous=bad.id)
    refused(bench, child, Rule.PARENT_INVALID)
    refused(bench, bad, Rule.COINBASE_REWARD)


def test_a_wrong_merkle_root(bench):
    refused(bench, with_header(bench, bench.block(), merkle_root=bytes(32)), Rule.MERKLE_ROOT)


def test_a_time_not_above_the_median_of_the_last_eleven(bench):
    bench.grow(12)
    median = median_time_past(bench.chain.head, bench.chain.tree.get)
    refused(bench, with_header(bench, bench.block(), time=median), Rule.TIME_TOO_OLD)
    bench.add(with_header(bench, bench.block(), time=median + 1))


def test_a_time_further_below_the_parents_than_a_right_clock_can_be(bench):
    """After a pause the median alone would let a stamp take the pause back from the difficulty."""
    bench.grow(12)
    bench.grow(1, seconds=50_000)
    lowest = bench.chain.head.header.time - bench.genesis.future_bound
    block = bench.block(seconds=-1000)
    assert block.header.time == lowest, "what a template makes of a clock that is behind"
    refused(bench, with_header(bench, block, time=lowest - 1), Rule.TIME_TOO_OLD)
    bench.add(block)


def test_a_pause_eases_the_target_by_two_half_lives_at_most():
    bench = Bench(make_genesis(target_start=0x20FFFFFF))
    bench.grow(2)
    start = expand(bench.block().header.target)
    bench.grow(1, seconds=500_000)
    eased = expand(bench.block().header.target)
    assert 3.8 < eased / start < 4, "a factor of four, less the spacing"


def test_a_time_too_far_in_the_future_is_refused_now_and_accepted_later(bench):
    block = bench.block(seconds=10_000)
    early = block.header.time - bench.genesis.future_bound - 1
    refused(bench, block, Rule.TIME_TOO_NEW, now=early)
    bench.add(block, now=early + 1)
    assert bench.chain.head.id == block.id


@pytest.mark.parametrize("target", [0x00000000, 0x05000001, 0x220FFFFF, 0x03FFFFFF, 0x21FFFFFF])
def test_a_target_that_is_not_canonical_or_above_the_limit(bench, target):
    block = with_header(bench, bench.block(), mine=False, target=target)
    refused(bench, block, Rule.TARGET_FORM)


def test_a_target_easier_or_harder_than_the_rule_gives(bench):
    bench.grow(3, seconds=10)
    right = bench.block().header.target
    for wrong in (right - 1, right + 1):
        refused(bench, with_header(bench, bench.block(), target=wrong), Rule.TARGET_VALUE)


def test_a_nonce_that_does_not_meet_the_target(bench):
    header = bench.block().header
    while meets(header.id, expand(header.target)):
        header = replace(header, nonce=header.nonce + 1)
    refused(bench, bench.signed(replace(bench.block(), header=header)), Rule.PROOF_OF_WORK)


# Block


def test_no_coinbase(bench):
    bench.grow(1)
    block = bench.block(bench.transfer(ALICE, BOB, 10, 0))
    spoiled = replace(block, transactions=block.transactions[1:])
    refused(bench, bench.sealed(spoiled), Rule.COINBASE_MISSING)


def test_two_coinbases(bench):
    block = bench.block()
    second = replace(block.coinbase, height=7)
    spoiled = replace(block, transactions=(*block.transactions, second))
    refused(bench, bench.sealed(spoiled), Rule.COINBASE_TWICE)


def test_a_mutated_merkle_tree(bench):
    bench.grow(2)
    transfers = [bench.transfer(ALICE, BOB, 10, n) for n in range(2)]
    block = bench.block(*transfers)
    doubled = replace(block, transactions=(*block.transactions, block.transactions[-1]))
    assert doubled.id == block.id, "the flaw: both lists have one root"
    refused(bench, doubled, Rule.MERKLE_MUTATED)
    bench.add(block)
    assert bench.balance(BOB) == 20


def test_a_merkle_tree_mutated_above_its_leaves(bench):
    bench.grow(2)
    block = bench.block(*(bench.transfer(ALICE, BOB, 10, n) for n in range(5)))
    doubled = replace(block, transactions=(*block.transactions, *block.transactions[-2:]))
    assert len(set(doubled.leaves[-4:])) == 2, "no two equal leaves are a pair"
    refused(bench, doubled, Rule.MERKLE_MUTATED)
    bench.add(block)


def test_a_miner_who_is_no_member(bench):
    refused(bench, bench.block(miner=MALLORY), Rule.BLOCK_MEMBER)


def test_a_block_signed_by_another_than_its_miner(bench):
    refused(bench, bench.signed(bench.block(miner=ALICE), BOB), Rule.BLOCK_SIGNATURE)


def test_a_bad_block_signature_does_not_damn_the_honest_block(bench):
    block = bench.block()
    refused(bench, replace(block, signature=bytes(64)), Rule.BLOCK_SIGNATURE)
    bench.add(block)
    assert bench.chain.head.id == block.id


def test_a_wrong_height(bench):
    refused(bench, with_coinbase(bench, bench.block(), height=2), Rule.COINBASE_HEIGHT)


@pytest.mark.parametrize("change", [1, -1])
def test_a_reward_that_is_not_subsidy_plus_fees(bench, change):
    bench.grow(1)
    block = bench.block(bench.transfer(ALICE, BOB, 10, 0, fee=5))
    assert block.coinbase.reward == 1005
    payouts = ((ALICE.public, block.coinbase.reward + change),)
    spoiled = with_coinbase(bench, block, payouts=payouts)
    refused(bench, spoiled, Rule.COINBASE_REWARD)


def block_with_update(bench: Bench) -> Block:
    update, payload = bench.update()
    bench.chain.add_payload(payload)
    return bench.block(update)


def test_a_wrong_aggregate_root(bench):
    block = block_with_update(bench)
    forged = replace(block.coinbase.models[0], root=bytes(32))
    refused(bench, with_coinbase(bench, block, models=(forged,)), Rule.AGGREGATE_ROOT)
    bench.add(block)


@pytest.mark.parametrize("field", ["round", "updates", "examples"])
def test_a_wrong_round_or_count_of_a_model(bench, field):
    block = block_with_update(bench)
    state = block.coinbase.models[0]
    forged = replace(state, **{field: getattr(state, field) + 1})
    refused(bench, with_coinbase(bench, block, models=(forged,)), Rule.COINBASE_MODELS)


@pytest.mark.parametrize("count", [0, 2])
def test_a_wrong_number_of_models(bench, count):
    models = (ModelState(0, 0, 0, bytes(32)),) * count
    refused(bench, with_coinbase(bench, bench.block(), models=models), Rule.COINBASE_MODELS)


def test_too_many_updates():
    bench = Bench(make_genesis(updates_per_block=1))
    pairs = [bench.update(ALICE), bench.update(BOB)]
    for _, payload in pairs:
        bench.chain.add_payload(payload)
    refused(bench, bench.block(*(u for u, _ in pairs)), Rule.UPDATE_COUNT)


def test_too_many_transfers():
    bench = Bench(make_genesis(transfers_per_block=1))
    bench.grow(1)
    transfers = [bench.transfer(ALICE, BOB, 1, n) for n in range(2)]
    refused(bench, bench.block(*transfers), Rule.TRANSFER_COUNT)


# Updates: at the door of the mempool, and smuggled into a block


def spoiled_updates(bench: Bench) -> dict[Rule, tuple[object, bytes]]:
    bench.grow(4)
    fresh, payload = bench.update()
    return {
        Rule.UPDATE_MODEL: bench.update(model=1),
        Rule.UPDATE_MEMBER: bench.update(MALLORY),
        Rule.UPDATE_SIGNATURE: (replace(fresh, signature=BOB.sign(b"something else")), payload),
        Rule.UPDATE_EXAMPLES: bench.update(examples=501),
        Rule.UPDATE_BASE_UNKNOWN: bench.update(base=bytes(32)),
        Rule.UPDATE_BASE_STALE: bench.update(base=bench.chain.at(1).id),
        Rule.PAYLOAD_LENGTH: bench.update(payload_length=len(payload) + 1),
    }


@pytest.mark.parametrize(
    "rule",
    [
        Rule.UPDATE_MODEL,
        Rule.UPDATE_MEMBER,
        Rule.UPDATE_SIGNATURE,
        Rule.UPDATE_EXAMPLES,
        Rule.UPDATE_BASE_UNKNOWN,
        Rule.UPDATE_BASE_STALE,
        Rule.PAYLOAD_LENGTH,
    ],
)
def test_a_forged_update(bench, rule):
    update, payload = spoiled_updates(bench)[rule]
    pool = Mempool(bench.genesis, bench.chain.tree.get)
    with pytest.raises(Rejected) as caught:
        pool.check(update, bench.chain.state)
    assert caught.value.rule is rule
    assert len(pool) == 0
    refused(bench, smuggled(bench, update), rule, payload)
    assert not bench.store.has_payload(update.payload)


def smuggled(bench: Bench, update: object) -> Block:
    """A block that is right but for this update, as a dishonest member would mine it."""
    block = bench.block()
    return bench.sealed(replace(block, transactions=(*block.transactions, update)))


@pytest.mark.parametrize("examples", [0, 501, 2**32 - 1])
def test_an_example_count_of_nought_or_above_the_cap(bench, examples):
    update, payload = bench.update(examples=examples)
    refused(bench, smuggled(bench, update), Rule.UPDATE_EXAMPLES, payload)


def test_an_update_signed_for_another_ward(bench):
    other = Bench(make_genesis(name="another ward"))
    update, _ = other.update(base=bench.chain.head.id)
    pool = Mempool(bench.genesis, bench.chain.tree.get)
    with pytest.raises(Rejected, match="update_signature"):
        pool.check(update, bench.chain.state)


def test_an_update_that_is_counted_already(bench):
    update, payload = bench.update()
    bench.chain.add_payload(payload)
    bench.add(bench.block(update))
    refused(bench, smuggled(bench, update), Rule.UPDATE_REPEATED, payload)
    again, other_payload = bench.update(delta=7, base=update.base)
    refused(bench, smuggled(bench, again), Rule.UPDATE_REPEATED, other_payload)


def test_one_block_with_two_updates_of_a_member_on_one_base(bench):
    first, payload = bench.update(delta=1)
    second, other_payload = bench.update(delta=2)
    bench.chain.add_payload(payload)
    block = bench.block(first)
    bench.chain.add_payload(other_payload)
    spoiled = replace(block, transactions=(*block.transactions, second))
    refused(bench, bench.sealed(spoiled), Rule.UPDATE_REPEATED)


def test_a_payload_with_another_hash(bench):
    update, payload = bench.update()
    with pytest.raises(Rejected, match="payload_hash"):
        check_payload(bench.genesis.models[0], update, payload[:-1] + b"\x01")


@pytest.mark.parametrize("spoil", [lambda p: b"\x07" + p[1:], lambda p: p + b"\0"])
def test_a_payload_whose_coding_is_not_canonical(bench, spoil):
    update, payload = bench.update()
    strange = spoil(payload)
    update, _ = bench.update(payload=content_id(strange), payload_length=len(strange))
    with pytest.raises(Rejected) as caught:
        check_payload(bench.genesis.models[0], update, strange)
    assert caught.value.rule is Rule.PAYLOAD_CODING


def test_a_payload_of_another_length_than_the_update_says(bench):
    update, payload = bench.update()
    with pytest.raises(Rejected, match="payload_length"):
        check_payload(bench.genesis.models[0], update, payload + b"\0")


def test_a_non_canonical_payload_inside_a_block(bench):
    strange = b"\x07" + update_codec.encode(np.zeros(12, np.int32), update_codec.Codec.INT32)[1:]
    update, _ = bench.update(payload=content_id(strange))
    refused(bench, smuggled(bench, update), Rule.PAYLOAD_CODING, strange)
    assert not bench.store.has_payload(update.payload)


# Transfers


def test_a_double_spend_in_one_block(bench):
    bench.grow(1)
    block = bench.block(bench.transfer(ALICE, BOB, 600, 0))
    second = bench.transfer(ALICE, MALLORY, 600, 1)
    spoiled = replace(block, transactions=(*block.transactions, second))
    coinbase = replace(spoiled.coinbase, payouts=((ALICE.public, 1002),))
    spoiled = replace(spoiled, transactions=(coinbase, *spoiled.transactions[1:]))
    refused(bench, bench.sealed(spoiled), Rule.TRANSFER_BALANCE)


def test_a_transfer_carried_out_twice(bench):
    bench.grow(1)
    transfer = bench.transfer(ALICE, BOB, 10, 0)
    bench.add(bench.block(transfer))
    block = bench.block()
    spoiled = replace(block, transactions=(*block.transactions, transfer))
    refused(bench, bench.sealed(spoiled), Rule.TRANSFER_SEQUENCE)


def rejected_transfer(bench: Bench, transfer: object) -> Rule:
    pool = Mempool(bench.genesis, bench.chain.tree.get)
    with pytest.raises(Rejected) as caught:
        pool.add(transfer, bench.chain.state)  # type: ignore[arg-type]
    assert len(pool) == 0
    return caught.value.rule


def test_transfers_that_violate_a_rule_do_not_wait(bench):
    bench.grow(1)
    good = bench.transfer(ALICE, BOB, 10, 0)
    nobody = MemberKey(bytes(32))
    assert rejected_transfer(bench, bench.transfer(ALICE, BOB, 1000, 0)) is Rule.TRANSFER_BALANCE
    assert rejected_transfer(bench, bench.transfer(nobody, BOB, 1, 0)) is Rule.TRANSFER_BALANCE
    assert rejected_transfer(bench, bench.transfer(ALICE, BOB, 10, 64)) is Rule.TRANSFER_SEQUENCE
    assert rejected_transfer(bench, bench.transfer(ALICE, BOB, 0, 0)) is Rule.TRANSFER_AMOUNT
    huge = bench.transfer(ALICE, BOB, 2**64 - 1, 0, fee=1)
    assert rejected_transfer(bench, huge) is Rule.TRANSFER_AMOUNT
    altered = replace(good, amount=11)
    assert rejected_transfer(bench, altered) is Rule.TRANSFER_SIGNATURE


@pytest.mark.parametrize(
    "recipient",
    [
        b"\x02" + bytes(30) + b"\x80",  # no point of the curve
        b"\x01" + bytes(31),  # the neutral element
        b"\xec" + b"\xff" * 30 + b"\x7f",  # of order 2
        bytes(32),  # of order 4
    ],
)
def test_nobody_is_paid_who_has_no_key(bench, recipient):
    bench.grow(1)
    transfer = replace(bench.transfer(ALICE, BOB, 10, 0), recipient=recipient)
    signed = transfer.signed(ALICE, bench.genesis.id)
    assert rejected_transfer(bench, signed) is Rule.TRANSFER_RECIPIENT
