"""One log line a minute."""

from edgenode.collector.log_limit import LogLimit


def test_the_first_line_is_written_and_the_next_ones_are_held_back():
    limit = LogLimit(interval=60.0)
    assert limit.admit("a", 0.0) == 0
    assert [limit.admit("a", t) for t in (0.0, 1.0, 59.9)] == [None] * 3


def test_the_next_line_says_how_many_were_held_back():
    limit = LogLimit(interval=60.0)
    limit.admit("a", 0.0)
    limit.admit("a", 1.0)
    limit.admit("a", 2.0)
    assert limit.admit("a", 60.0) == 2
    assert limit.admit("a", 120.0) == 0


def test_subjects_do_not_hold_each_other_back():
    limit = LogLimit(interval=60.0)
    assert limit.admit("a", 0.0) == 0
    assert limit.admit("b", 0.0) == 0
