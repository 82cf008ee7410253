"""Wards whose network is cut in two, or loses every tenth datagram."""

import pytest

from tests.ward.network import network
from tests.ward.wards import (
    Fate,
    Program,
    agreed,
    asked,
    assert_no_update_counts_twice,
    chain_of,
    fate,
    grown,
    height,
    start_mining,
    until,
    ward_of,
)

pytestmark = [pytest.mark.processes, pytest.mark.timeout(900)]


def test_two_halves_of_a_cut_ward_join_on_one_head_within_two_blocks():
    with network(4) as net, ward_of(4, before=lambda ward: net.place(ward.boxes)) as ward:
        grown(ward.boxes, 2)
        until(lambda: all(len(box.client.peers()) == 3 for box in ward.boxes), "all sessions")
        halves = ward.boxes[:2], ward.boxes[2:]
        # An update that both halves know when the cut comes: each will count it.
        agreed(ward)  # of two equal tips only half of the ward would know the update's base
        both = Program(ward.boxes[0], 1)
        known = until(both.submit, "the update to be taken")
        until(lambda: all(known in box.client.mempool() for box in ward.boxes), "all to know it")
        start = height(ward.boxes[0])
        net.cut()
        start_mining(ward, ward.boxes)

        programs = [Program(half[0], n) for n, half in enumerate(halves)]
        for goal in (start + 3, start + 10, start + 20):
            until(lambda g=goal: all(height(half[0]) >= g for half in halves), f"height {goal}")
            for program in programs:
                program.submit()
        # What a half has agreed on is what joins: its newest block may still lose within the half.
        sides = []
        for half in halves:
            agreed(ward, half)
            sides.append(chain_of(half[0]))
        assert sides[0][start].id != sides[1][start].id, "the halves went their own ways"
        for blocks in sides:
            assert [u.id for b in blocks for u in b.updates].count(known) == 1

        heads = [asked(half[0].client.head) for half in halves]
        net.join()
        if heads[0].work != heads[1].work:
            # Not even one more block is needed: nobody mines.
            until(lambda: same_head(ward.boxes), "one head")
            assert height(ward.boxes[0]) == max(heads, key=lambda head: int(head.work, 16)).height
        start_mining(ward, ward.boxes)
        grown(ward.boxes, 2)
        agreed(ward)
        blocks = chain_of(ward.boxes[0])
        assert_no_update_counts_twice(blocks)
        assert [u.id for b in blocks for u in b.updates].count(known) == 1
        assert {b.id for b in blocks} >= {b.id for b in sides[0]} or {b.id for b in blocks} >= {
            b.id for b in sides[1]
        }
        for half, program in zip(halves, programs, strict=True):
            fates = {fate(ward, half[0], *each) for each in program.acknowledged.items()}
            assert fates <= {Fate.COUNTED, Fate.WAITS, Fate.BASE_UNKNOWN}, fates
        assert sum(box.client.status().reorganisations for box in ward.boxes) >= 2


def same_head(boxes):
    """Whether all boxes hold the same head."""
    return len({asked(box.client.head).id for box in boxes}) == 1


def test_a_ward_that_loses_every_tenth_datagram_learns_and_loses_no_update():
    with (
        network(4) as net,
        ward_of(4, before=lambda ward: net.place(ward.boxes), spacing=2) as ward,
    ):
        net.lose(10)
        grown(ward.boxes, 2)
        programs = [Program(box, n) for n, box in enumerate(ward.boxes)]
        start = height(ward.boxes[0])
        while height(ward.boxes[0]) < start + 12:
            for program in programs:
                program.submit()
            grown(ward.boxes[:1], 1)
        until(
            lambda: all(
                fate(ward, program.box, *each) is not Fate.WAITS
                for program in programs
                for each in program.acknowledged.items()
            ),
            "all updates to be counted",
        )
        agreed(ward)
        fates = [
            fate(ward, program.box, *each)
            for program in programs
            for each in program.acknowledged.items()
        ]
        # What is not counted was trained from a block that lost: nothing is stale or missing.
        assert set(fates) <= {Fate.COUNTED, Fate.BASE_UNKNOWN}, fates
        assert fates.count(Fate.COUNTED) > 0.8 * len(fates)
        blocks = chain_of(ward.boxes[3])
        assert_no_update_counts_twice(blocks)
        members = {u.member for block in blocks for u in block.updates}
        assert members == {box.key.public.hex() for box in ward.boxes}
        for lost, arrived in net.lost():
            assert arrived > 500
            assert 0.05 < lost / (lost + arrived) < 0.15
