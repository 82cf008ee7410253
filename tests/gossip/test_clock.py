"""The decision whether a clock may be trusted, for all clocks, floors and memories."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.gossip.clock import (
    SLACK_SECONDS,
    STEP_SECONDS,
    ClockBehindError,
    Floors,
    Memory,
    Policy,
    Reading,
    State,
    Vouched,
    accept,
    judge,
)

YEAR = 365 * 86_400.0
NOW = 1_800_000_000.0
FLOORS = Floors(build=NOW - YEAR, head=NOW - 700)
BOOT = "first"

times = st.floats(0, 4e9)
readings = st.builds(
    Reading, wall=times, since_boot=st.floats(0, 1e9), boot=st.sampled_from(["", "a", "b"]),
    synchronised=st.booleans(),
)  # fmt: skip
vouchers = st.builds(
    Vouched, state=st.sampled_from([State.SYNCHRONISED, State.ACCEPTED]),
    boot=st.sampled_from(["", "a", "b"]), offset=times,
)  # fmt: skip
memories = st.builds(Memory, last_seen=times, vouched=st.none() | vouchers)
floors = st.builds(Floors, build=times, head=times)
policies = st.sampled_from(Policy)


def reading(wall=NOW, since_boot=50.0, boot=BOOT, *, synchronised=False):
    return Reading(wall, since_boot, boot, synchronised)


def later(clocks, seconds):
    """The clocks after so much time, if nobody set them."""
    return replace(clocks, wall=clocks.wall + seconds, since_boot=clocks.since_boot + seconds)


def verdict(clocks, memory=None, floors=FLOORS):
    return judge(Policy.SYNCHRONISED, clocks, floors, memory or Memory())[0]


@given(readings, floors, memories)
def test_no_clock_is_trusted_that_is_behind_what_has_passed(clocks, floors, memory):
    if clocks.wall < max(floors.build, floors.head, memory.last_seen - SLACK_SECONDS):
        found = verdict(clocks, memory, floors)
        assert found.state is State.BEHIND
        assert not found.trusted
        assert "is before" in found.reason


@given(readings, floors, memories)
def test_no_clock_is_trusted_that_nobody_vouched_for_in_this_boot(clocks, floors, memory):
    found, after = judge(Policy.SYNCHRONISED, clocks, floors, memory)
    vouched = memory.vouched
    stands = (
        vouched is not None
        and vouched.boot == clocks.boot
        and abs(vouched.offset - clocks.offset) <= STEP_SECONDS
    )
    if not clocks.synchronised and not stands:
        assert not found.trusted
        assert after.vouched is None
    elif clocks.wall >= max(floors.build, floors.head, memory.last_seen):
        assert found.trusted


@given(policies, readings, floors, memories)
def test_a_second_look_at_the_same_clock_sees_the_same(policy, clocks, floors, memory):
    first, after = judge(policy, clocks, floors, memory)
    assert judge(policy, clocks, floors, after) == (first, after)


@given(policies, readings, floors, memories)
def test_the_time_seen_last_never_goes_back_by_itself(policy, clocks, floors, memory):
    found, after = judge(policy, clocks, floors, memory)
    assert after.last_seen >= memory.last_seen
    assert after.last_seen == memory.last_seen or found.trusted


@given(readings, floors, memories)
def test_any_clock_will_do_that_is_not_behind_the_chain(clocks, floors, memory):
    found, after = judge(Policy.ANY, clocks, floors, memory)
    assert found.state is (State.BEHIND if clocks.wall < floors.head else State.UNCHECKED)
    assert after == memory


@given(readings, floors)
def test_whoever_vouches_is_believed_unless_the_clock_is_certainly_wrong(clocks, floors):
    if clocks.wall < max(floors.build, floors.head):
        with pytest.raises(ClockBehindError, match="is before"):
            accept(clocks, floors)
        return
    found = verdict(clocks, accept(clocks, floors), floors)
    assert found.state is (State.SYNCHRONISED if clocks.synchronised else State.ACCEPTED)


@given(st.lists(st.floats(0, 30 * 86_400), max_size=5))
def test_an_accepted_clock_stays_trusted_however_long_the_box_runs(pauses):
    clocks = reading()
    memory = accept(clocks, FLOORS)
    for pause in pauses:
        clocks = later(clocks, pause)
        found, memory = judge(Policy.SYNCHRONISED, clocks, FLOORS, memory)
        assert found.state is State.ACCEPTED
    assert memory.last_seen == clocks.wall


@pytest.mark.parametrize("step", [3.0, 3600.0, YEAR])
def test_a_clock_that_is_set_must_be_accepted_again(step):
    memory = accept(reading(), FLOORS)
    moved = reading(wall=NOW + step)
    found, memory = judge(Policy.SYNCHRONISED, moved, FLOORS, memory)
    assert found.state is State.UNSYNCHRONISED
    # Not even setting it back brings the old word back.
    back = reading()
    assert not verdict(back, memory).trusted
    assert verdict(back, accept(back, FLOORS)).trusted


def test_a_word_holds_for_one_boot():
    memory = accept(reading(), FLOORS)
    assert verdict(reading(boot=BOOT), memory).trusted
    assert not verdict(reading(boot="second"), memory).trusted


def test_a_ward_whose_time_server_falls_silent_goes_on():
    synchronised = reading(synchronised=True)
    found, memory = judge(Policy.SYNCHRONISED, synchronised, FLOORS, Memory())
    assert (found.state, found.reason) == (State.SYNCHRONISED, "synchronised")
    alone = replace(later(synchronised, 86_400), synchronised=False)
    found, memory = judge(Policy.SYNCHRONISED, alone, FLOORS, memory)
    assert found.reason == "synchronised earlier in this boot"
    assert found.trusted
    stepped = replace(alone, wall=alone.wall + 10)
    assert not verdict(stepped, memory).trusted


def test_a_box_without_a_battery_waits_for_the_time_server_although_its_clock_was_lifted():
    before = reading(synchronised=True)
    _, memory = judge(Policy.SYNCHRONISED, before, FLOORS, Memory())
    lifted = reading(wall=NOW + 5, since_boot=9, boot="second")  # it was off for a week
    assert verdict(lifted, memory).state is State.UNSYNCHRONISED
    in_1970 = reading(wall=9, since_boot=9, boot="second", synchronised=True)
    assert "when this release was built" in verdict(in_1970, memory).reason
    right = reading(wall=NOW + 604_800, since_boot=12, boot="second", synchronised=True)
    assert verdict(right, memory).trusted


def test_a_small_correction_backwards_is_no_step_into_the_past():
    fast = reading(wall=NOW + 40, synchronised=True)
    _, memory = judge(Policy.SYNCHRONISED, fast, FLOORS, Memory())
    assert verdict(reading(synchronised=True), memory).trusted
    assert not verdict(reading(wall=NOW - 30, synchronised=True), memory).trusted


def test_a_time_that_was_believed_wrongly_can_be_taken_back_by_hand_only():
    in_2040 = reading(wall=NOW + 14 * YEAR, synchronised=True)
    _, memory = judge(Policy.SYNCHRONISED, in_2040, FLOORS, Memory())
    right = reading(synchronised=True)
    found, memory = judge(Policy.SYNCHRONISED, right, FLOORS, memory)
    assert found.state is State.BEHIND
    assert "when this box last ran" in found.reason
    assert verdict(right, accept(right, FLOORS)).trusted


def test_a_clock_that_shows_no_date_is_still_told():
    found = verdict(reading(wall=-1e18), floors=Floors(build=1e18, head=0))
    assert found.reason == "-1e+18 is before 1e+18, when this release was built"
