"""Whole wards under a virtual clock; a failing case replays from its seed."""

import pytest

from edgenode.learning.fixed_point import to_bytes
from edgenode.learning.update_codec import Codec
from edgenode.ledger.accounts import accounts
from edgenode.protocol.events import PeerBlamed
from edgenode.sim.ward import Conditions, Ward
from edgenode.storage.chain import SqliteChainStore


def check_invariants(ward: Ward) -> None:
    """What holds in every chain at any moment."""
    for box in ward.on():
        chain = box.running.chain
        counted = []
        for height in range(1, chain.head.height + 1):
            block = chain.block(chain.at(height).id)
            counted += [update.once for update in block.updates]
        assert len(counted) == len(set(counted)), "an update was counted twice"
        total = sum(account.balance for account in accounts(chain.state.records).values())
        assert total == chain.head.height * ward.genesis.subsidy
        honest = [event for event in box.events if isinstance(event, PeerBlamed)]
        assert honest == [], "an honest peer was blamed"


def settle(ward: Ward) -> None:
    """Let the ward come to one head (blocks go on being found meanwhile)."""
    assert ward.run_until(ward.agree, 1200), [b.running.chain.head.height for b in ward.on()]
    check_invariants(ward)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("loss", [0.0, 0.1, 0.3])
def test_a_ward_of_four_agrees_whatever_is_lost(seed, loss):
    ward = Ward(4, seed, Conditions(loss=loss, duplication=loss, delay=(0.001, 0.2)))
    ward.run(1800)
    settle(ward)
    box = ward.boxes[0].running
    assert box.chain.head.height >= 5
    assert box.chain.state.models[0].round >= 3
    assert all(len(b.running.links.peers) == 3 for b in ward.boxes)


@pytest.mark.parametrize("codec", [codec for codec in Codec if codec is not Codec.INT32])
def test_a_ward_agrees_on_what_coded_updates_mean(codec):
    ward = Ward(3, 1, Conditions(loss=0.1, codec=codec))
    ward.run(1800)
    settle(ward)
    chain = ward.boxes[0].running.chain
    assert chain.state.models[0].round >= 3
    assert chain.state.parameters[0].any(), "the updates moved something"


def test_one_node_alone_makes_progress():
    ward = Ward(1, 5)
    ward.run(1800)
    assert ward.boxes[0].running.chain.state.models[0].round >= 5


@pytest.mark.parametrize("seed", range(3))
def test_a_node_that_was_off_for_thirty_blocks_catches_up_and_takes_part(seed):
    ward = Ward(4, seed, Conditions(loss=0.1))
    ward.run(300)
    sleeper = ward.boxes[3]
    ward.switch_off(sleeper)
    before = ward.boxes[0].running.chain.head.height
    awake = ward.boxes[0].running.chain
    assert ward.run_until(lambda: awake.head.height >= before + 30, 20_000)
    ward.switch_on(sleeper)
    settle(ward)
    height = awake.head.height

    def counted_at():
        return [
            h
            for h in range(height + 1, awake.head.height + 1)
            for update in awake.block(awake.at(h).id).updates
            if update.member == sleeper.key.public
        ]

    assert ward.run_until(counted_at, 2000)
    assert counted_at()[0] <= height + 3


@pytest.mark.parametrize("seed", range(3))
def test_two_halves_of_a_partition_join_on_one_head_within_two_blocks(seed):
    ward = Ward(4, seed, Conditions(loss=0.05))
    ward.run(200)
    ward.partition([0, 1], [2, 3])
    start = max(box.running.chain.head.height for box in ward.boxes)
    halves = [ward.boxes[0].running.chain, ward.boxes[2].running.chain]
    assert ward.run_until(lambda: all(h.head.height >= start + 20 for h in halves), 50_000)
    assert halves[0].head.id != halves[1].head.id
    ward.partition()
    joined = max(h.head.height for h in halves)
    assert ward.run_until(ward.agree, 3000)
    assert halves[0].head.height <= joined + 2
    assert sum(box.running.reorganisations for box in ward.boxes) >= 2
    check_invariants(ward)


@pytest.mark.parametrize("seed", range(3))
def test_all_nodes_switched_off_come_back_with_the_same_head_and_parameters(seed):
    ward = Ward(4, seed, Conditions(loss=0.1))
    ward.run(1500)
    settle(ward)
    head = ward.boxes[0].running.chain.head.id
    parameters = to_bytes(ward.boxes[0].running.chain.state.parameters[0])
    for box in ward.boxes:
        ward.switch_off(box)
    ward.run(86_400)
    for box in ward.boxes:
        ward.switch_on(box)
        assert box.running.chain.head.id == head
        assert to_bytes(box.running.chain.state.parameters[0]) == parameters
    height = ward.boxes[0].running.chain.head.height
    ward.run(1000)
    settle(ward)
    assert ward.boxes[0].running.chain.head.height > height


@pytest.mark.parametrize("seed", range(3))
def test_a_node_that_lost_its_store_gets_it_back_bit_for_bit(seed):
    ward = Ward(4, seed, Conditions(loss=0.1))
    ward.run(2000)
    settle(ward)
    box = ward.boxes[2]
    ward.switch_off(box)
    box.store = SqliteChainStore(":memory:", ward.genesis.id)
    ward.switch_on(box)
    settle(ward)
    mine, theirs = box.running.chain, ward.boxes[0].running.chain
    for height in range(1, mine.head.height + 1):
        assert mine.at(height).id == theirs.at(height).id
        block = mine.block(mine.at(height).id)
        assert block.encode() == theirs.block(block.id).encode()
        for update in block.updates:
            assert mine.payload(update.payload) == theirs.payload(update.payload)


@pytest.mark.parametrize("seed", range(3))
def test_boxes_that_come_and_go_at_random_end_in_one_chain(seed):
    ward = Ward(5, seed, Conditions(loss=0.1, duplication=0.05))
    for step in range(30):
        ward.run(120)
        box = ward.boxes[(seed + step * 7) % 5]
        if box.node is None:
            ward.switch_on(box)
        else:
            ward.switch_off(box)
        check_invariants(ward)
    for box in ward.boxes:
        if box.node is None:
            ward.switch_on(box)
    settle(ward)


def test_a_run_repeats_from_its_seed():
    runs = []
    for _ in range(2):
        ward = Ward(4, 77, Conditions(loss=0.2))
        ward.run(900)
        runs.append((ward.delivered, [b.running.chain.head.id for b in ward.boxes]))
    assert runs[0] == runs[1]


def test_a_box_without_reachable_seeds_is_found_again_before_its_sessions_end():
    ward = Ward(3, 3)
    ward.run(60)
    first = ward.boxes[0]  # everybody's seed, with no seed of its own
    ward.switch_off(first)
    ward.run(1)
    ward.switch_on(first)
    ward.run(40)
    assert len(first.running.links.peers) == 2
