"""Wards in which nobody knows everybody: blocks and updates reach all, and halves find together."""

import pytest

from bench.scale import steps
from edgenode.ledger.keys import MemberKey
from edgenode.sim.ward import Conditions, Ward


class ManyBoxes(Ward):
    """Boxes that know one seed; each third one trains."""

    def _keys(self, boxes):
        return [MemberKey((i + 1).to_bytes(32)) for i in range(boxes)]

    def _schedule_training(self, box):
        if box.index % 3 == 0:
            super()._schedule_training(box)


@pytest.fixture(autouse=True)
def narrow_views(monkeypatch):
    """What 16 to 24 sessions are to a thousand nodes, 4 to 6 are to thirty."""
    monkeypatch.setattr("edgenode.protocol.seeking.SOUGHT_PEERS", 2)
    monkeypatch.setattr("edgenode.protocol.places.SOUGHT_PEERS", 2)
    monkeypatch.setattr("edgenode.protocol.places.CROWD", 6)


def most_sessions(ward):
    return max(len(box.running.links.peers) for box in ward.boxes)


def test_blocks_and_updates_reach_all_of_many_boxes_through_few_sessions_each():
    ward = ManyBoxes(20, 1, Conditions(loss=0.02))
    ward.run(240)
    assert most_sessions(ward) <= 12, "newcomers have left their seed"
    assert 2 <= steps(ward) <= 6
    ward.run(400)
    assert ward.run_until(ward.agree, 60)
    chain = ward.boxes[0].running.chain
    assert chain.head.height > 2
    updates = sum(
        len(chain.block(chain.at(height).id).updates) for height in range(1, chain.head.height + 1)
    )
    assert updates > 2 * chain.head.height


def test_halves_that_were_apart_for_longer_than_told_addresses_last_find_together(monkeypatch):
    """Nobody has the seed of the other half: where members were met is what is left."""
    monkeypatch.setattr("edgenode.protocol.book.LEARNT_TIME", 240.0)
    ward = ManyBoxes(12, 2, Conditions(spacing=600.0))
    ward.run(300)
    halves = [n for n in range(12) if n % 2], [n for n in range(12) if not n % 2]
    ward.partition(*halves)
    ward.run(900)
    for half in halves:
        for n in half:
            hosts = {p.address.host for p in ward.boxes[n].running.links.peers.values()}
            assert hosts <= {ward.boxes[m].host for m in half}
    ward.partition()
    assert ward.run_until(ward.agree, 600)
    assert steps(ward) <= 6
