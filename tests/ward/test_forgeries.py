"""A hostile member forges updates and blocks: each is refused by name and leaves no trace."""

import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from edgenode.ledger.accounts import account
from edgenode.ledger.hashes import content_id, display
from edgenode.ledger.headers import median_time_past
from edgenode.ledger.rules import Rule
from edgenode.ledger.target import expand, meets
from edgenode.ledger.transaction import ModelState
from edgenode.protocol.instant import Instant
from edgenode.protocol.wire import NewTransaction
from tests.ledger.builder import MALLORY
from tests.ward.hostile import HostileMember, WardBench
from tests.ward.wards import assert_sound, chain_store, log_of, ward_of

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]

BLOCKS = 12


@pytest.fixture(scope="module")
def ward():
    """Two members, only the first of which runs a node; the other's key is the hostile one's."""
    with ward_of(2, start=False, services=("gossip",), hash_rate=1) as ward:
        honest = ward.boxes[0]
        for box in ward.boxes:
            ward.configure(box)
        ward.start_box(honest)
        yield ward
        assert_sound(honest)
        assert "Traceback" not in log_of(honest)


@pytest.fixture(scope="module")
def bench(ward):
    """The chain that the honest node follows; twelve blocks long, so that bases can be stale."""
    bench = WardBench(ward, ward.boxes[1].key)
    with HostileMember(ward, ward.boxes[0], bench) as member:
        for _ in range(BLOCKS):
            publish(member, ward.boxes[0], bench.block())
    return bench


def publish(member, box, block):
    """Hand an honest block to the node by the same wire."""
    member.node.submit_block(block, Instant(time.monotonic(), time.time()))
    member.run_until(lambda: box.client.head().id == display(block.id), "the block to be taken")


@contextmanager
def refused(ward, bench, rule, *, update=None):
    """A session in which the node must refuse something by this rule and keep nothing of it."""
    box = ward.boxes[0]
    before = box.client.status()
    stored = rows(box)
    with HostileMember(ward, box, bench) as member:
        yield member
        member.run_until(
            lambda: box.client.status().refused.get(rule, 0) > before.refused.get(rule, 0),
            f"a refusal by {rule}",
        )
        after = box.client.status()
    others = {
        name: count - before.refused.get(name, 0)
        for name, count in after.refused.items()
        if name != rule and count != before.refused.get(name, 0)
    }
    assert others == {}, "refused by another rule as well"
    assert after.head == before.head
    assert rows(box) == stored
    if update is not None:
        assert update.id.hex() not in box.client.mempool()
    assert f" rule={rule} " in log_of(box)


def rows(box):
    """Everything that the node's store names."""
    with chain_store(box) as database:
        return {
            table: set(database.execute(f"SELECT {columns} FROM {table}"))
            for table, columns in {
                "block": "id, height, undo",
                "payload": "id",
                "payload_user": "payload, user",
                "parameters": "root",
                "mempool": "id",
                "record": "key, value, crc",
            }.items()
        }


# Updates


def forged_updates(bench):
    fresh, payload = bench.update()
    other_coding = b"\x07" + payload[1:]
    return {
        Rule.UPDATE_SIGNATURE: (
            replace(fresh, signature=MALLORY.sign(b"something else")),
            payload,
        ),
        Rule.UPDATE_EXAMPLES: bench.update(examples=bench.genesis.examples_cap + 1),
        Rule.UPDATE_MODEL: bench.update(model=1),
        Rule.UPDATE_MEMBER: bench.update(MALLORY),
        Rule.UPDATE_BASE_STALE: bench.update(base=bench.chain.at(1).id),
        Rule.UPDATE_BASE_UNKNOWN: bench.update(base=bytes(32)),
        Rule.PAYLOAD_LENGTH: bench.update(payload_length=len(payload) + 1),
        Rule.PAYLOAD_HASH: (fresh, payload[:-1] + b"\x01"),
        Rule.PAYLOAD_CODING: (bench.update(payload=content_id(other_coding))[0], other_coding),
    }


@pytest.mark.parametrize(
    "rule",
    [
        Rule.UPDATE_SIGNATURE,
        Rule.UPDATE_EXAMPLES,
        Rule.UPDATE_MODEL,
        Rule.UPDATE_MEMBER,
        Rule.UPDATE_BASE_STALE,
        Rule.UPDATE_BASE_UNKNOWN,
        Rule.PAYLOAD_LENGTH,
        Rule.PAYLOAD_HASH,
        Rule.PAYLOAD_CODING,
    ],
)
def test_a_forged_update_is_refused_by_name(ward, bench, rule):
    update, payload = forged_updates(bench)[rule]
    with refused(ward, bench, rule, update=update) as member:
        member.offer_update(update, payload)


def test_bytes_that_are_no_transaction_are_refused_as_malformed(ward, bench):
    update, _ = bench.update()
    with refused(ward, bench, Rule.MALFORMED) as member:
        member.announce(NewTransaction(update.encode()[:-1]))


# Headers


def unmined(bench):
    header = bench.block().header
    while meets(header.id, expand(header.target)):
        header = replace(header, nonce=header.nonce + 1)
    return bench.signed(replace(bench.block(), header=header))


def forged_headers(bench):
    block = bench.block()
    target = block.header.target
    median = median_time_past(bench.chain.head, bench.chain.tree.get)
    ahead = int(time.time()) + bench.genesis.future_bound + 100
    return {
        "version": (Rule.HEADER_VERSION, bench.with_header(block, version=2)),
        "merkle_root": (Rule.MERKLE_ROOT, bench.with_header(block, merkle_root=bytes(32))),
        "time of the past": (Rule.TIME_TOO_OLD, bench.with_header(block, time=median)),
        "time of the future": (Rule.TIME_TOO_NEW, bench.with_header(block, time=ahead)),
        "target that is zero": (
            Rule.TARGET_FORM,
            bench.signed(replace(block, header=replace(block.header, target=0))),
        ),
        "target that is easier": (
            Rule.TARGET_VALUE,
            bench.with_header(block, target=target - 1),
        ),
        "nonce": (Rule.PROOF_OF_WORK, unmined(bench)),
    }


@pytest.mark.parametrize(
    "field",
    [
        "version",
        "merkle_root",
        "time of the past",
        "time of the future",
        "target that is zero",
        "target that is easier",
        "nonce",
    ],
)
def test_a_block_with_a_forged_header_field_is_refused_by_name(ward, bench, field):
    rule, block = forged_headers(bench)[field]
    with refused(ward, bench, rule) as member:
        member.offer_block(block)


def test_a_block_on_a_refused_parent_is_refused(ward, bench):
    bad = bench.with_coinbase(bench.block(), payouts=())
    with refused(ward, bench, Rule.COINBASE_REWARD) as member:
        member.offer_block(bad)
    child = bench.with_header(bench.block(), previous=bad.id)
    with refused(ward, bench, Rule.PARENT_INVALID) as member:
        member.offer_block(child)


def test_a_block_on_an_invented_parent_leaves_no_trace(ward, bench):
    box = ward.boxes[0]
    orphan = bench.with_header(bench.block(), previous=bytes(32))
    stored, head = rows(box), box.client.head()
    with HostileMember(ward, box, bench) as member:
        asked = box.client.status().traffic.broadcast.datagrams_received
        member.offer_block(orphan)
        member.run_until(
            lambda: box.client.status().traffic.broadcast.datagrams_received > asked,
            "the announcement to arrive",
        )
    assert rows(box) == stored
    assert box.client.head() == head


# Blocks


def forged_blocks(bench):
    """For each forgery the rule, the block, and the payloads that belong to it."""
    plain = bench.block()
    update, payload = bench.update()
    bench.store.add_payload(update.payload, payload)
    learned = bench.block(update)
    state = learned.coinbase.models[0]
    mine = account(bench.chain.state.records, bench.miner.public)
    spend = mine.balance * 6 // 10
    first = bench.transfer(bench.miner, bench.other, spend, mine.sequence, fee=0)
    second = bench.transfer(bench.miner, bench.other, spend, mine.sequence + 1, fee=0)
    small = [bench.transfer(bench.miner, bench.other, 10, mine.sequence + n) for n in range(2)]
    pair = bench.block(*small)

    def with_model(**changes):
        return bench.with_coinbase(learned, models=(replace(state, **changes),))

    return {
        "aggregate root": (Rule.AGGREGATE_ROOT, with_model(root=bytes(32)), [(update, payload)]),
        "round": (Rule.COINBASE_MODELS, with_model(round=state.round + 1), [(update, payload)]),
        "number of models": (
            Rule.COINBASE_MODELS,
            bench.with_coinbase(plain, models=(ModelState(0, 0, 0, bytes(32)),) * 2),
            [],
        ),
        "double spend": (
            Rule.TRANSFER_BALANCE,
            bench.sealed(replace(plain, transactions=(plain.coinbase, first, second))),
            [],
        ),
        "transfer carried out twice": (
            Rule.TRANSFER_SEQUENCE,
            bench.sealed(replace(plain, transactions=(plain.coinbase, first, first, second))),
            [],
        ),
        "two coinbases": (
            Rule.COINBASE_TWICE,
            bench.sealed(
                replace(plain, transactions=(plain.coinbase, replace(plain.coinbase, height=7)))
            ),
            [],
        ),
        "no coinbase": (
            Rule.COINBASE_MISSING,
            bench.sealed(replace(plain, transactions=(first,))),
            [],
        ),
        "mutated merkle tree": (
            Rule.MERKLE_MUTATED,
            replace(pair, transactions=(*pair.transactions, pair.transactions[-1])),
            [],
        ),
        "height": (Rule.COINBASE_HEIGHT, bench.with_coinbase(plain, height=999), []),
        "reward": (
            Rule.COINBASE_REWARD,
            bench.with_coinbase(plain, payouts=((bench.miner.public, 10**9),)),
            [],
        ),
        "stranger's block": (
            Rule.BLOCK_MEMBER,
            bench.signed(bench.block(miner=MALLORY), MALLORY),
            [],
        ),
        "signature": (Rule.BLOCK_SIGNATURE, bench.signed(plain, MALLORY), []),
    }


@pytest.mark.parametrize(
    "forgery",
    [
        "aggregate root",
        "round",
        "number of models",
        "double spend",
        "transfer carried out twice",
        "two coinbases",
        "no coinbase",
        "mutated merkle tree",
        "height",
        "reward",
        "stranger's block",
        "signature",
    ],
)
def test_a_forged_block_is_refused_by_name(ward, bench, forgery):
    rule, block, payloads = forged_blocks(bench)[forgery]
    with refused(ward, bench, rule) as member:
        member.offer_block(block, *payloads)


@pytest.mark.parametrize(
    "rule", [Rule.UPDATE_EXAMPLES, Rule.UPDATE_SIGNATURE, Rule.UPDATE_BASE_STALE]
)
def test_a_forged_update_smuggled_into_a_block_is_refused_by_name(ward, bench, rule):
    update, payload = forged_updates(bench)[rule]
    block = bench.block()
    smuggled = bench.sealed(replace(block, transactions=(*block.transactions, update)))
    with refused(ward, bench, rule, update=update) as member:
        member.offer_block(smuggled, (update, payload))


def test_after_all_forgeries_the_node_still_takes_honest_blocks_and_updates(ward, bench):
    """Among them the block whose doubled twin, of the same id, was refused as mutated."""
    box = ward.boxes[0]
    _, twin, _ = forged_blocks(bench)["mutated merkle tree"]
    honest = replace(twin, transactions=twin.transactions[:-1])
    with refused(ward, bench, Rule.MERKLE_MUTATED) as member:
        member.offer_block(twin)
    with HostileMember(ward, box, bench) as member:
        publish(member, box, honest)
        update, payload = bench.update()
        member.node.submit_update(update, payload, Instant(time.monotonic(), time.time()))
        member.run_until(lambda: update.id.hex() in box.client.mempool(), "the update to wait")
    assert update.payload in {name for (name,) in rows(box)["payload"]}
