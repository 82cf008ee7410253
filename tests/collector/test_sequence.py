"""Gaps, repetitions and renumbering in the indices of a sensor."""

from hypothesis import given
from hypothesis import strategies as st

from edgenode.collector.sequence import (
    MAX_GAP,
    REORDER_WINDOW,
    Dropped,
    Placed,
    SequenceTracker,
)

indices = st.integers(0, 2**32 - 1)


def tracker_at(index, count=10):
    tracker = SequenceTracker()
    assert tracker.place_samples(index, count) == Placed(index, new_stream=True)
    return tracker


def test_samples_in_order_have_no_gap():
    tracker = tracker_at(0)
    assert tracker.place_samples(10, 10) == Placed(10)
    assert tracker.place_samples(20, 5) == Placed(20)


def test_a_gap_in_the_sequence_is_counted_with_its_size():
    tracker = tracker_at(0)
    assert tracker.place_samples(17, 3) == Placed(17, missing=7)
    assert tracker.place_samples(20, 3) == Placed(20)


def test_a_repeated_notification_is_a_duplicate():
    tracker = tracker_at(0)
    assert tracker.place_samples(0, 10) is Dropped.DUPLICATE
    assert tracker.place_samples(10, 10) == Placed(10)


def test_a_notification_that_was_counted_as_missing_comes_out_of_order():
    tracker = tracker_at(0)
    tracker.place_samples(20, 10)
    assert tracker.place_samples(10, 10) is Dropped.OUT_OF_ORDER
    assert tracker.place_samples(30, 10) == Placed(30)


def test_the_part_already_received_is_cut_off():
    tracker = tracker_at(0)
    assert tracker.place_samples(4, 10) == Placed(10, skip=6)
    assert tracker.place_samples(14, 1) == Placed(14)


def test_the_index_goes_on_when_the_sensor_wraps():
    tracker = tracker_at(2**32 - 10)
    assert tracker.place_samples(0, 10) == Placed(2**32)
    assert tracker.place_samples(15, 10) == Placed(2**32 + 15, missing=5)
    assert tracker.place_samples(2**32 - 10, 10) is Dropped.DUPLICATE
    assert tracker.place_annotation(25) == Placed(2**32 + 25)


def test_a_step_back_beyond_the_reorder_window_begins_a_new_stream():
    tracker = tracker_at(5000)
    assert tracker.place_samples(5010 - REORDER_WINDOW, 10) is Dropped.DUPLICATE
    assert tracker.place_samples(0, 10) == Placed(0, new_stream=True)
    assert tracker.place_samples(10, 10) == Placed(10)


def test_a_step_beyond_the_largest_gap_begins_a_new_stream():
    tracker = tracker_at(0)
    assert tracker.place_samples(10 + MAX_GAP, 1) == Placed(10 + MAX_GAP, missing=MAX_GAP)
    beyond = 10 + 2 * MAX_GAP + 2
    assert tracker.place_samples(beyond, 1) == Placed(beyond, new_stream=True)


def test_a_new_connection_begins_a_new_stream_and_counts_what_was_lost_meanwhile():
    tracker = tracker_at(0)
    tracker.connection_began()
    assert tracker.place_samples(25, 10) == Placed(25, new_stream=True, missing=15)
    assert tracker.place_samples(35, 10) == Placed(35)


def test_a_sensor_that_restarted_meanwhile_has_lost_nothing_that_can_be_counted():
    tracker = tracker_at(7000)
    tracker.connection_began()
    assert tracker.place_samples(0, 10) == Placed(0, new_stream=True)


def test_two_connections_without_samples_do_not_forget_where_the_last_stream_ended():
    tracker = tracker_at(0)
    tracker.connection_began()
    tracker.connection_began()
    assert tracker.place_samples(12, 1) == Placed(12, new_stream=True, missing=2)


def test_samples_repeated_over_a_new_connection_are_not_placed_again():
    tracker = tracker_at(1000)
    tracker.connection_began()
    assert tracker.place_annotation(1000) == Placed(1000, new_stream=True)
    assert tracker.place_samples(1000, 10) is Dropped.DUPLICATE
    assert tracker.place_samples(1004, 10) == Placed(1010, skip=6)
    assert tracker.place_samples(1014, 10) == Placed(1014)


def test_a_repetition_that_is_cut_may_begin_the_stream_also_across_the_wrap():
    tracker = tracker_at(2**32 - 10)
    tracker.connection_began()
    assert tracker.place_samples(2**32 - 10, 10) is Dropped.DUPLICATE
    assert tracker.place_samples(2**32 - 3, 10) == Placed(2**32, new_stream=True, skip=3)
    assert tracker.place_samples(7, 10) == Placed(2**32 + 7)


def test_a_new_connection_far_before_the_last_samples_repeats_nothing():
    tracker = tracker_at(5000)
    tracker.connection_began()
    first = 5010 - REORDER_WINDOW - 1
    assert tracker.place_samples(first, 10) == Placed(first, new_stream=True)


def test_an_annotation_before_the_last_one_is_out_of_order():
    tracker = tracker_at(0)
    assert tracker.place_annotation(10) == Placed(10)
    assert tracker.place_annotation(5) is Dropped.OUT_OF_ORDER
    assert tracker.place_annotation(10) == Placed(10)
    tracker.connection_began()
    assert tracker.place_annotation(5) == Placed(5, new_stream=True)


def test_after_a_lost_annotation_only_later_ones_count():
    tracker = SequenceTracker()
    assert tracker.annotation_lost() is None
    assert tracker.place_annotation(30) == Placed(30, new_stream=True)
    assert tracker.annotation_lost() == 30
    assert tracker.place_samples(30, 10) == Placed(30)
    assert tracker.annotation_lost() == 40
    assert tracker.place_annotation(30) is Dropped.OUT_OF_ORDER
    assert tracker.place_annotation(50) == Placed(50)
    assert tracker.annotation_lost() == 50


def test_an_annotation_may_begin_the_stream():
    tracker = tracker_at(0)
    tracker.connection_began()
    assert tracker.place_annotation(30) == Placed(30, new_stream=True)
    assert tracker.place_samples(30, 10) == Placed(30, missing=20)
    assert tracker.place_annotation(45) == Placed(45)
    assert tracker.place_samples(40, 10) == Placed(40)


def test_samples_may_lie_before_the_annotation_that_began_the_stream():
    tracker = SequenceTracker()
    assert tracker.place_annotation(30) == Placed(30, new_stream=True)
    assert tracker.place_samples(20, 10) == Placed(20)


def test_an_annotation_across_the_wrap_belongs_to_the_same_stream():
    tracker = SequenceTracker()
    assert tracker.place_annotation(2**32 - 5) == Placed(2**32 - 5, new_stream=True)
    assert tracker.place_samples(5, 10) == Placed(2**32 + 5)


def test_an_index_below_zero_begins_a_new_stream():
    tracker = SequenceTracker()
    assert tracker.place_annotation(0) == Placed(0, new_stream=True)
    assert tracker.place_samples(2**32 - 5, 10) == Placed(2**32 - 5, new_stream=True)


def test_an_annotation_far_back_begins_a_new_stream_too():
    tracker = tracker_at(5000)
    assert tracker.place_annotation(0) == Placed(0, new_stream=True)
    assert tracker.place_samples(0, 10) == Placed(0)


@given(indices, st.lists(st.tuples(st.integers(0, 500), st.integers(1, 42)), max_size=50))
def test_what_is_placed_and_what_is_missing_add_up(start, steps):
    """Whatever is lost on the way, indices and gaps account for every sample."""
    tracker = SequenceTracker()
    tracker.place_samples(start, 1)
    position, stored, missing = start + 1, 1, 0
    for lost, count in steps:
        position += lost
        placed = tracker.place_samples(position % 2**32, count)
        assert placed == Placed(position, missing=lost)
        position += count
        stored += count
        missing += lost
    assert stored + missing == position - start


@given(st.lists(st.tuples(st.booleans(), st.booleans(), indices, st.integers(1, 42))))
def test_no_sample_of_a_stream_is_ever_placed_twice(notifications):
    """Any sequence of indices gives streams whose samples ascend strictly."""
    tracker = SequenceTracker()
    end = None
    for reconnect, near, raw, count in notifications:
        if reconnect:
            tracker.connection_began()
            end = None
        first = (end + raw % 600 - 300) % 2**32 if near and end is not None else raw
        placed = tracker.place_samples(first, count)
        if isinstance(placed, Dropped):
            continue
        assert placed.first >= 0
        assert 0 <= placed.skip < count
        assert placed.new_stream or end is None or placed.first == end + placed.missing
        assert (placed.first - placed.skip - first) % 2**32 == 0
        end = placed.first + count - placed.skip


@given(indices, st.lists(st.integers(0, REORDER_WINDOW), min_size=1, max_size=20))
def test_no_sample_is_placed_twice_however_often_a_sensor_repeats_it(start, repetitions):
    """Whatever is repeated over new connections, each index is placed once."""
    tracker = SequenceTracker()
    assert tracker.place_samples(start, 42) == Placed(start, new_stream=True)
    placed, end = 42, start + 42
    for back in repetitions:
        tracker.connection_began()
        first = max(start, end - back)
        for at in range(first, first + 294, 42):
            what = tracker.place_samples(at % 2**32, 42)
            if isinstance(what, Placed):
                assert what.missing == 0
                placed += 42 - what.skip
        end = max(end, first + 294)
        assert placed == end - start
