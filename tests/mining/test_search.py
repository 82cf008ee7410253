"""A search tries every header of a piece of work at most once, and none of another miner's."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.ledger.header import Header
from edgenode.ledger.template import Work, build_template
from edgenode.ledger.transaction import EXTRANONCE_BYTES
from edgenode.mining.search import NEWEST_TIME, SearchPlan
from tests.ledger.builder import ALICE, Bench

WORK = Work(
    height=7,
    version=1,
    previous=bytes(range(32)),
    coinbase_head=b"\0\7\0\0\0",
    coinbase_tail=b"tail" * 20,
    branch=(b"\1" * 32, b"\2" * 32),
    time=1_700_000_000,
    target=0x1EFFFF00,
)
PREFIX = b"\xaa\xbb\xcc\xdd"


def pairs(plan, slices, count):
    for _ in range(slices):
        piece = plan.take(count, 0)
        for nonce in range(piece.first, piece.first + piece.count):
            yield piece.extranonce, nonce


@given(
    threads=st.integers(1, 5),
    nonces=st.integers(1, 40),
    counts=st.lists(st.integers(1, 50), min_size=5, max_size=5),
    slices=st.integers(1, 30),
)
def test_no_two_threads_try_the_same_header_and_no_thread_tries_one_twice(
    threads, nonces, counts, slices
):
    tried = [
        pair
        for thread in range(threads)
        for pair in pairs(
            SearchPlan(WORK, PREFIX, thread, threads, nonces=nonces), slices, counts[thread]
        )
    ]
    assert len(tried) == len(set(tried))


@given(threads=st.integers(1, 4), nonces=st.integers(1, 20), count=st.integers(1, 25))
def test_the_threads_together_leave_nothing_out(threads, nonces, count):
    rounds = 3
    plans = [SearchPlan(WORK, PREFIX, thread, threads, nonces=nonces) for thread in range(threads)]
    tried = set()
    for plan in plans:
        tried.update(pairs(plan, rounds * -(-nonces // count), count))
    assert tried == {
        (PREFIX + counter.to_bytes(4, "little"), nonce)
        for counter in range(rounds * threads)
        for nonce in range(nonces)
    }


def test_the_extranonce_changes_when_the_nonces_run_out():
    plan = SearchPlan(WORK, PREFIX, 1, 3, nonces=10)
    pieces = [plan.take(6, 0) for _ in range(4)]
    assert [(p.first, p.count) for p in pieces] == [(0, 6), (6, 4), (0, 6), (6, 4)]
    assert [p.extranonce[4] for p in pieces] == [1, 1, 4, 4]
    assert pieces[0].header[36:68] != pieces[2].header[36:68]  # another merkle root


def test_all_nonces_of_32_bits_are_used():
    plan = SearchPlan(WORK, PREFIX, 0, 1)
    half = 1 << 31
    pieces = [plan.take(half, 0) for _ in range(3)]
    assert [(p.first, p.count) for p in pieces] == [(0, half), (half, half), (0, half)]


def test_another_process_tries_other_headers():
    one = SearchPlan(WORK, b"\0\0\0\1", 0, 1, nonces=5)
    two = SearchPlan(WORK, b"\0\0\0\2", 0, 1, nonces=5)
    assert not set(pairs(one, 10, 3)) & set(pairs(two, 10, 3))


def test_the_header_is_that_of_the_work_with_the_time_moved_on():
    piece = SearchPlan(WORK, PREFIX, 0, 1).take(100, 42)
    assert Header.decode(piece.header) == WORK.header(piece.extranonce, 0, WORK.time + 42)
    assert piece.time == WORK.time + 42
    assert len(piece.extranonce) == EXTRANONCE_BYTES


def test_the_time_stops_at_the_last_that_a_header_can_name():
    late = replace(WORK, time=NEWEST_TIME - 1)
    times = [SearchPlan(late, PREFIX, 0, 1).take(1, seconds).time for seconds in (0, 1, 2, 90)]
    assert times == [NEWEST_TIME - 1, NEWEST_TIME, NEWEST_TIME, NEWEST_TIME]


def test_a_found_header_makes_a_block_that_the_ledger_accepts():
    bench = Bench()
    template = build_template(
        bench.genesis,
        bench.chain.state,
        (),
        miner=ALICE.public,
        now=bench.chain.head.header.time + 90,
        lookup=bench.chain.tree.get,
        payload=lambda _: b"",
    )
    piece = SearchPlan(template.work, PREFIX, 0, 1).take(1000, 5)
    nonce = next(
        n
        for n in range(piece.first, piece.first + piece.count)
        if int.from_bytes(template.work.header(piece.extranonce, n, piece.time).id, "little")
        <= template.work.target_number
    )
    bench.add(template.block(piece.extranonce, nonce, piece.time, ALICE, bench.genesis.id))
    assert bench.chain.head.height == 1


def test_the_end_of_all_headers_is_an_error_not_a_repetition():
    plan = SearchPlan(WORK, PREFIX, 0, 1 << 31, nonces=1)
    plan.take(1, 0)
    plan.take(1, 0)
    with pytest.raises(OverflowError):
        plan.take(1, 0)


@pytest.mark.parametrize("thread", [2, -1])
def test_a_plan_for_nobody_is_refused(thread):
    with pytest.raises(ValueError, match="no thread"):
        SearchPlan(WORK, PREFIX, thread, 2)


def test_a_pool_says_how_an_extranonce_begins_and_how_much_of_it_counts():
    plan = SearchPlan(WORK, b"ab", 1, 2, counter_bytes=3, nonces=1)
    assert [plan.take(1, 0).extranonce for _ in range(2)] == [b"ab\1\0\0", b"ab\3\0\0"]
