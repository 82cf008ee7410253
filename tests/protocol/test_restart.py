"""A node that was interrupted, or whose disk altered something, loses nothing acknowledged."""

import random

import pytest

from edgenode.ledger import chain as chain_module
from edgenode.ledger.chain import Chain
from edgenode.ledger.mempool import Mempool
from edgenode.ledger.retention import Retention
from edgenode.ledger.transaction import STATE_INTERVAL
from edgenode.protocol.events import HeadMoved, PeerBlamed
from edgenode.protocol.instant import Instant
from edgenode.protocol.relay import Relay
from edgenode.sim.ward import Conditions, Ward
from edgenode.storage.chain import SqliteChainStore, StoreFullError
from tests.ledger.builder import ALICE, BOB, CAROL, NOW, Bench, initial_parameters
from tests.protocol.lone_node import lone_node


def restarted(bench):
    """The chain and mempool that a start makes of the store."""
    chain = Chain(bench.genesis, (initial_parameters(),), bench.store)
    mempool = Mempool(bench.genesis, chain.tree.get)
    return chain, mempool, Relay(chain, mempool, bench.store)


def test_what_a_reorganisation_undid_waits_again_if_the_power_went_before_it_could():
    bench, other = Bench(), Bench()
    bench.grow(1)
    other.add(bench.chain.block(bench.chain.at(1).id))
    update, payload = bench.update(ALICE)
    transfer = bench.transfer(ALICE, BOB, 10, 0)
    bench.chain.add_payload(payload)
    undone = bench.add(bench.block(update, transfer))
    for seconds in (80, 80):
        bench.chain.add_block(other.add(other.block(miner=BOB, seconds=seconds)), NOW)
    change, _ = bench.chain.advance()
    assert [block.id for block in change.disconnected] == [undone.id]
    # Here the power goes: the relay never heard of the change.
    chain, mempool, _ = restarted(bench)
    assert chain.head is not None
    assert set(mempool.ids()) == {update.id, transfer.id}
    assert {t.id for t in bench.store.waiting()} == {update.id, transfer.id}


def test_what_the_chain_counts_does_not_wait_again_because_a_lost_block_holds_it_too():
    bench, other = Bench(), Bench()
    bench.grow(1)
    other.add(bench.chain.block(bench.chain.at(1).id))
    update, payload = bench.update(ALICE)
    for each in (bench, other):
        each.chain.add_payload(payload)
    bench.add(bench.block(update))
    bench.chain.add_block(other.add(other.block(update, miner=BOB, seconds=80)), NOW)
    bench.chain.add_block(other.add(other.block(miner=CAROL, seconds=80)), NOW)
    assert bench.chain.advance()[0] is not None
    _, mempool, _ = restarted(bench)
    assert mempool.ids() == []


def test_a_node_says_that_its_head_moved_though_the_disk_is_full_for_its_mempool():
    ward = Ward(2, 3)
    box = ward.boxes[0]
    assert ward.run_until(lambda: len(box.running.mempool) > 0, 2000)
    head = box.running.chain.head

    def full(_):
        raise StoreFullError("no room")

    box.store.drop_waiting = full
    box.events.clear()
    with pytest.raises(StoreFullError):
        ward.run(2000)
    events = box.events + box.running.drain()[1]
    moved = [event for event in events if isinstance(event, HeadMoved)]
    assert box.running.chain.head is not head
    assert moved[-1].change.new is box.running.chain.head


def test_a_node_on_a_full_disk_lets_blocks_go_though_its_head_stands_still():
    """Else a lower `keep_bytes` would make no room, and nothing would ever move again."""
    bench = Bench(retention=Retention(blocks=1000, bytes=1))
    bench.grow(800)
    node = lone_node(bench.chain, bench.store)
    kept = bench.store.used_bytes()
    for second in range(0, 400, 10):
        node.hold(second + 10.0)
        node.tick(Instant(second + 5.0, NOW))
        node.tick(Instant(second + 10.0, NOW))
    assert bench.chain.floor == 2 * STATE_INTERVAL - 1
    assert bench.store.used_bytes() < kept
    assert bench.chain.head.height == 800


@pytest.mark.parametrize("seed", range(5))
def test_parameters_that_the_disk_has_altered_are_computed_anew(seed):
    bench = Bench()
    for _ in range(3):
        bench.round(ALICE, BOB, delta=random.Random(seed).randrange(1, 1000))
    right = bench.parameters()
    root = bench.chain.state.models[0].root
    altered = bytearray(bench.store.parameters(root))
    altered[random.Random(seed).randrange(len(altered))] ^= 1
    bench.store._db.execute("UPDATE parameters SET raw = ? WHERE root = ?", (bytes(altered), root))
    chain, _, _ = restarted(bench)
    assert [int(value) for value in chain.state.parameters[0]] == right


def altered(store, table, name):
    """Flip a bit in the middle of a row."""
    (raw,) = store._db.execute(f"SELECT raw FROM {table} WHERE id = ?", (name,)).fetchone()
    raw = bytearray(raw)
    raw[len(raw) // 2] ^= 1
    store._db.execute(f"UPDATE {table} SET raw = ? WHERE id = ?", (bytes(raw), name))


def test_a_payload_that_the_disk_has_altered_does_not_keep_a_lone_node_from_mining():
    ward = Ward(1, 3)
    (box,) = ward.boxes
    assert ward.run_until(lambda: len(box.running.mempool) > 0, 2000)
    (waiting,) = box.store.waiting()
    altered(box.store, "payload", waiting.payload)
    height = box.running.chain.head.height
    ward.mine_now(box)
    assert box.running.chain.head.height == height + 1
    assert box.store.waiting() == []
    ward.switch_off(box)
    ward.switch_on(box)
    ward.mine_now(box)
    assert box.running.chain.head.height == height + 2


@pytest.mark.parametrize("table", ["block", "payload"])
def test_what_the_disk_has_altered_is_not_given_to_others_who_blame_nobody(table):
    ward = Ward(3, 5, Conditions(parameters=50))
    rotten, _, joiner = ward.boxes
    ward.switch_off(joiner)
    chain = rotten.running.chain
    assert ward.run_until(lambda: chain.state.models[0].round >= 3, 3000)
    assert ward.run_until(ward.agree, 600)
    block = next(
        b for b in map(chain.block, (e.id for e in chain.tree.lineage(chain.head))) if b.updates
    )
    altered(rotten.store, table, block.id if table == "block" else block.updates[0].payload)
    rotten.running._serving._at_hand.clear()
    joiner.store = SqliteChainStore(":memory:", ward.genesis.id)
    ward.switch_on(joiner)
    ward.run(600)
    assert joiner.running.chain.head.height >= block.coinbase.height
    assert not [e for box in ward.boxes for e in box.events if isinstance(e, PeerBlamed)]


def test_a_transfer_that_only_the_end_of_a_long_new_branch_pays_for_waits_again(monkeypatch):
    monkeypatch.setattr(chain_module, "LONGEST_MOVE", 4)
    bench, other = Bench(), Bench()
    bench.grow(1, miner=CAROL)
    transfer = bench.transfer(CAROL, BOB, 10, 0)
    bench.add(bench.block(transfer))
    other.grow(10, miner=BOB)
    other.grow(2, miner=CAROL)
    node = lone_node(bench.chain, bench.store)
    for height in range(1, 13):
        bench.chain.add_block(other.chain.block(other.chain.at(height).id), NOW)
    node.tick(Instant(1, NOW))
    assert bench.chain.head.id == other.chain.head.id
    moves = [event for event in node.drain()[1] if isinstance(event, HeadMoved)]
    assert len(moves) > 1
    assert transfer.id in node.mempool
    assert [each.id for each in bench.store.waiting()] == [transfer.id]
