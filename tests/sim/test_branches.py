"""Branches of every depth, and branches that nobody can complete: a ward finds one chain again."""

import pytest

from edgenode.protocol import catch_up
from edgenode.protocol.events import PeerBlamed
from edgenode.protocol.wire import Socket
from edgenode.sim.ward import Conditions, Ward


class QuietWard(Ward):
    """A ward in which a block is found only where the test says so, and nobody trains."""

    def __init__(self, boxes, seed=1):
        super().__init__(boxes, seed, Conditions(parameters=10, training=1e9))

    def _schedule_block(self, box):
        pass

    def grow(self, box, blocks, pause=90):
        for _ in range(blocks):
            self.mine_now(box)
            self.run(pause)


def heights(*boxes):
    return [box.running.chain.head.height for box in boxes]


@pytest.mark.parametrize("depth", [1, 13, 14, 15, 20, 25, 26, 45, 100])
def test_a_fork_of_any_depth_heals_without_another_block(depth):
    ward = QuietWard(2)
    one, other = ward.boxes
    ward.run(5)
    ward.grow(one, 150)
    assert ward.run_until(ward.agree, 60)
    ward.partition([0], [1])
    ward.grow(one, depth)
    ward.grow(other, depth + 3)
    ward.partition()
    assert ward.run_until(ward.agree, 600)
    assert heights(one) == [150 + depth + 3]


@pytest.mark.parametrize("ahead", [45, 130])
def test_a_branch_whose_blocks_nobody_has_holds_nobody_up(ahead, monkeypatch):
    """A box that was alone shows its headers, serves no block, and is gone."""
    monkeypatch.setattr(catch_up, "HEADERS_AHEAD", 100)
    ward = QuietWard(4)
    *others, lone = ward.boxes
    first, second, victim = others
    ward.run(30)
    ward.grow(first, 100)
    assert ward.run_until(ward.agree, 60)
    ward.partition([0, 1, 2], [3])
    ward.grow(lone, ahead)
    ward.grow(first, 1)
    lone.running._serve = lambda *_: None
    ward.partition()
    shown = 100 + min(ahead, 100)
    assert ward.run_until(
        lambda: all(box.running.chain.best_header().height >= shown for box in others), 1200
    )
    ward.switch_off(lone)
    assert heights(*others) == [101] * 3, "its blocks are missing"

    # A box that lacks one block of the ward's own chain gets it all the same.
    post = ward._post
    ward._post = lambda sender, datagram: (
        None
        if datagram.socket is Socket.BROADCAST and datagram.address.host == victim.host
        else post(sender, datagram)
    )
    ward.grow(first, 1, pause=1)
    ward._post = post
    ward.grow(second, 20)
    assert heights(*others) == [122] * 3
    assert not [event for box in others for event in box.events if isinstance(event, PeerBlamed)]
