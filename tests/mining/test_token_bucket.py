"""A bucket lets through its burst, and then its rate."""

from hypothesis import given
from hypothesis import strategies as st

from edgenode.mining.token_bucket import TokenBucket


@given(
    st.integers(1, 20),
    st.integers(1, 100),
    st.lists(st.integers(0, 300), min_size=1, max_size=200),
)
def test_no_window_lets_through_more_than_burst_and_rate(burst, every, waits):
    now, bucket, taken = 0, TokenBucket(burst, every, 0), []
    for wait in waits:
        now += wait
        if bucket.take(now):
            taken.append(now)
    for i, begin in enumerate(taken):
        for j in range(i, len(taken)):
            assert j - i + 1 <= burst + (taken[j] - begin) / every


def test_what_keeps_to_the_rate_is_never_held_up():
    bucket = TokenBucket(1, 50, 0)
    assert all(bucket.take(50 * n) for n in range(1000))


def test_a_clock_that_stands_or_goes_back_gives_nothing():
    bucket = TokenBucket(3, 50, 1000)
    assert [bucket.take(t) for t in (1000, 900, 1000, 1000)] == [True, True, True, False]


@given(st.integers(1, 1000), st.integers(2, 50))
def test_any_number_of_tokens_a_second_is_kept_to_exactly(rate, burst):
    bucket = TokenBucket(burst, 1000, 0, tokens=rate)
    taken = sum(bucket.take(now) for now in range(10_000) for _ in range(2))
    assert taken in range(10 * rate - 1, 10 * rate + burst + 1)
