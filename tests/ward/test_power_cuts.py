"""Boxes lose power, one or all, with or without their disks; the ward loses nothing."""

import itertools

import pytest

from tests.ward.wards import (
    Fate,
    Program,
    agreed,
    assert_no_update_counts_twice,
    assert_same_chain_bit_for_bit,
    assert_sound,
    chain_of,
    counted,
    exact,
    fate,
    grown,
    height,
    learned,
    log_of,
    start_mining,
    stop_mining,
    until,
    ward_of,
)

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]

_seeds = itertools.count(1)


@pytest.fixture(scope="module")
def shared():
    with ward_of(4) as ward:
        yield ward


@pytest.fixture
def ward(shared):
    """Four boxes that run and mine; each test leaves the chain longer than it found it."""
    for box in shared.boxes:
        shared.start_box(box)
    grown(shared.boxes, 1)
    return shared


def rounds(box, count):
    """Let the ward learn from one box for so many rounds."""
    program = Program(box, next(_seeds))
    return [learned(program) for _ in range(count)]


def test_all_boxes_lose_power_at_once_and_go_on_where_they_were(ward):
    rounds(ward.boxes[0], 2)
    head = agreed(ward)
    parameters = exact(ward.boxes[0], head.id)
    # What waits for a block when the power fails has been acknowledged as well.
    waiting = Program(ward.boxes[1], next(_seeds)).submit()
    for box in ward.boxes:
        ward.stop_box(box, kill=True)
    for box in ward.boxes:
        ward.start_box(box)
        stop_mining(ward, [box])
    for box in ward.boxes:
        until(box.client.head, "the box to be back")
        assert box.client.head().id == head.id or counted_below(box, head)
        assert exact(box, head.id) == parameters
        assert "damaged" not in log_of(box)
    assert waiting in ward.boxes[1].client.mempool() or counted(ward.boxes[1], waiting)
    start_mining(ward, ward.boxes)
    grown(ward.boxes, 3)
    until(lambda: counted(ward.boxes[0], waiting), "the update that waited to be counted")
    agreed(ward)
    assert counted_below(ward.boxes[3], head)
    assert_no_update_counts_twice(chain_of(ward.boxes[0]))


def counted_below(box, head):
    """Whether the box's chain goes through this head."""
    return box.client.block(head.height).id == head.id


def test_one_box_alone_makes_blocks_and_the_others_follow_it(ward):
    alone, *others = ward.boxes
    for box in others:
        ward.stop_box(box, kill=True)
    mined = alone.client.status().blocks_mined
    before = height(alone)
    (update,) = rounds(alone, 1)
    grown([alone], 3)
    assert height(alone) >= before + 3
    assert alone.client.status().blocks_mined >= mined + 3
    stop_mining(ward, [alone])
    head = alone.client.head()
    for box in others:
        ward.start_box(box)
    grown(ward.boxes, 2)
    for box in others:
        until(lambda b=box: counted_below(b, head), f"{box.name} to follow the one that was alone")
        assert counted(box, update)


def test_a_box_whose_chain_was_deleted_gets_it_back_bit_for_bit(ward):
    rounds(ward.boxes[1], 3)
    loser = ward.boxes[2]
    ward.stop_box(loser, kill=True)
    state = loser.directory / "state" / "gossip"
    for file in state.glob("chain.db*"):
        file.unlink()
    ward.start_box(loser)
    agreed(ward)
    top = assert_same_chain_bit_for_bit(loser, ward.boxes[1])
    assert top == height(ward.boxes[1])
    payloads = {u.payload for block in chain_of(ward.boxes[1]) for u in block.updates}
    assert len(payloads) >= 3
    assert_sound(loser)


def test_a_box_that_was_off_for_thirty_blocks_catches_up_and_takes_part(ward):
    *awake, sleeper = ward.boxes
    ward.stop_box(sleeper, kill=True)
    slept_at = max(height(box) for box in awake)
    programs = [Program(box, next(_seeds)) for box in awake]
    while height(awake[0]) < slept_at + 30:
        for program in programs:
            program.submit()
        grown(awake[:1], 1)
    ward.start_box(sleeper)
    reached = height(awake[0])
    until(lambda: height(sleeper) >= reached, "the sleeper to catch up")
    # How soon an update of its own is counted says tests/sim/test_ward.py, by a clock that no load
    # slows: here there is a block each second.
    program = Program(sleeper, next(_seeds))

    def taken_part():
        """What it says of all its updates, once one is counted there and elsewhere."""
        program.submit()
        if not any(counted(awake[0], update) for update in program.acknowledged):
            return None
        fates = [fate(ward, sleeper, *each) for each in program.acknowledged.items()]
        return fates if Fate.COUNTED in fates else None

    fates = until(taken_part, "an update of the sleeper to be counted", pause=0.5)
    before = set(fates[: fates.index(Fate.COUNTED)])
    assert before <= {Fate.BASE_UNKNOWN, Fate.BASE_STALE}, fates
    agreed(ward)
    assert_no_update_counts_twice(chain_of(sleeper))
