"""What hash rate, a captured member, a partition and sleep can do to a ward."""

from dataclasses import replace
from itertools import pairwise

import pytest

from edgenode.ledger.headers import expected_target
from edgenode.protocol.wire import Tip
from edgenode.sim.adversaries import DoubleVoter, Rewriter, SwiftMiner, by_a_stranger
from edgenode.sim.arena import Behaviour
from edgenode.sim.ward import Conditions
from edgenode.sim.watched_arena import WatchedArena
from tests.ledger.builder import mined

WINDOW, REST = 20, 8
CONDITIONS = Conditions(
    spacing=2.0,
    training=1.0,
    parameters=3,
    share_window=WINDOW,
    share_rest=REST,
    future_bound=6,
    checkpoint_interval=3,
)


class Outsider(Behaviour):
    """Holds the ward key and no member's; it has a block ready whenever there is a new head."""

    endorses_honestly = False
    shown = 0

    def on_turn(self, ward, box):
        return True

    def on_head(self, ward, box):
        node = ward.node(box)
        block = by_a_stranger(ward, box, node)
        head = node.chain.head
        node.show(block, Tip(block.id, head.height + 1, 2**60, node.chain.state.justified))
        self.shown += 1


class Planter(Outsider):
    """As an outsider; its block lacks a payload, and branches grow on it."""

    branches = 3

    def on_head(self, ward, box):
        node = ward.node(box)
        update, payload = ward.update(box, node.chain.head.id)
        node.chain.add_payload(payload)
        node.withheld.add(update.payload)
        node.submit_update(update, payload, ward.instant_of(box))
        block = by_a_stranger(ward, box, node)
        assert update in block.updates
        parent = node.chain.add_header(block.header, int(ward.instant_of(box).unix))
        node.show(block, _claimed(node, parent))
        for _ in range(self.branches):
            child = replace(
                block.header,
                previous=parent.id,
                merkle_root=ward.rng.randbytes(32),
                time=block.header.time + 1,
                target=expected_target(ward.genesis, parent, node.chain.tree.get),
            )
            node.announce(mined(child), _claimed(node, parent))
        self.shown += 1


def _claimed(node, parent):
    return Tip(parent.header.previous, parent.height, 2**60, node.chain.state.justified)


def blocks(ward, box):
    chain = box.running.chain
    return [chain.block(chain.at(height).id) for height in range(chain.head.height + 1)]


@pytest.mark.parametrize("kind", [Outsider, Planter])
def test_who_is_no_member_changes_nothing_however_fast_it_is(kind):
    outsider = kind()
    ward = WatchedArena(8, 1, CONDITIONS, {7: [outsider]})
    ward.run(60)  # the watch would see a block of a stranger
    assert outsider.shown > 0
    assert ward.watch.final.height >= 6
    assert any("block_member" in box.running.refused for box in ward.honest())


@pytest.mark.parametrize("seed", range(3))
def test_a_captured_member_with_much_hash_rate_rewrites_nothing_final_and_has_its_share(seed):
    captured = [SwiftMiner(), Rewriter(blocks=30, times=4)]
    ward = WatchedArena(10, seed, CONDITIONS, {9: captured})
    ward.run(90)  # the watch would see a final block that is left
    assert ward.watch.final.height >= 6
    chain = blocks(ward, ward.boxes[0])
    swift = ward.boxes[9].key.public
    hurried = [
        block.coinbase.miner == swift and block.header.time < parent.header.time + REST
        for parent, block in pairwise(chain)
    ]
    assert any(hurried)
    for start in range(len(hurried)):
        assert sum(hurried[start : start + WINDOW]) <= 2 * WINDOW // 10


@pytest.mark.parametrize(("seed", "cut"), [(1, 5), (2, 6), (3, 7), (4, 8), (5, 9)])
def test_parts_of_a_ward_never_finalise_different_blocks(seed, cut):
    ward = WatchedArena(10, seed, CONDITIONS, {i: [DoubleVoter()] for i in (4, 5, 6)})
    ward.run(15)
    ward.bridging = {4, 5, 6}
    ward.partition(range(cut), range(cut, 10))
    ward.run(40)  # the watch would see two
    ward.partition()
    before = ward.watch.final.height
    assert ward.run_until(lambda: ward.watch.final.height > before, 400)


def test_with_one_in_twenty_awake_blocks_still_come_and_finality_waits():
    ward = WatchedArena(20, 1, CONDITIONS, {})
    ward.run(5)
    for box in ward.boxes[1:]:
        ward.switch_off(box)
    lone = ward.boxes[0]
    lone.hash_rate = 20.0
    before, final = lone.running.chain.head.height, ward.watch.final.height
    ward.run(200)
    assert lone.running.chain.head.height >= before + 10
    assert ward.watch.final.height == final
    for box in ward.boxes[1:]:
        ward.switch_on(box)
    assert ward.run_until(lambda: ward.watch.final.height > final, 400)
