"""The searching threads work on the current work, and on nothing when there is none."""

import queue
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from edgenode.ledger.target import compress
from edgenode.mining import kernels
from edgenode.mining.searchers import Searchers
from edgenode.native import _kernels
from tests.mining.test_search import WORK

EASY = replace(WORK, target=compress((1 << 250) - 1))
NEVER = replace(WORK, target=compress(1))


@pytest.fixture
def searching():
    made = []

    def searching(submit, threads=2, share=1.0, kernel=kernels.PORTABLE, clock=time.monotonic):
        made.append(Searchers(threads, share, submit, kernel, clock))
        return made[-1]

    yield searching
    for searchers in made:
        searchers.stop()


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)
    assert condition()


@pytest.mark.parametrize("kernel", kernels.RUNS_HERE)
def test_what_is_found_meets_the_target(searching, kernel):
    found = queue.SimpleQueue()
    searchers = searching(lambda block: bool(found.put(block)) or True, kernel=kernel)
    searchers.set_work("a", EASY)
    block = found.get(timeout=30)
    assert block.work_id == "a"
    header = EASY.header(block.extranonce, block.nonce, block.time)
    assert int.from_bytes(header.id, "little") <= EASY.target_number
    assert searchers.hashes > 0


def test_a_pools_work_is_searched_in_the_pools_part_for_the_pools_target(searching):
    found = queue.SimpleQueue()
    searchers = searching(lambda share: bool(found.put(share)), threads=2)
    target = 1 << 246
    searchers.set_work("p", replace(WORK, target=0), prefix=b"pool", target=target)
    shares = [found.get(timeout=30) for _ in range(50)]
    assert {share.extranonce[:4] for share in shares} == {b"pool"}
    work = replace(WORK, target=0)
    headers = [work.header(share.extranonce, share.nonce, share.time) for share in shares]
    assert all(int.from_bytes(header.id, "little") <= target for header in headers)
    assert len(set(headers)) == len(shares)  # the search goes on behind what it found


def test_the_kernel_that_was_chosen_searches(searching, monkeypatch):
    used = queue.SimpleQueue()
    monkeypatch.setattr(_kernels, "search", lambda *arguments: used.put(arguments[4]))
    searching(lambda _: True, kernel="neon").set_work("a", NEVER)
    assert used.get(timeout=30) == "neon"


def test_accepted_work_is_not_searched_on(searching):
    submitted = threading.Event()
    searchers = searching(lambda _: bool(submitted.set()) or True, threads=1)
    searchers.set_work("a", EASY)
    assert submitted.wait(30)
    until(lambda: searchers._task is None)
    before = searchers.hashes
    time.sleep(0.2)
    assert searchers.hashes == before


def test_refused_work_is_searched_on(searching):
    found = queue.SimpleQueue()
    searchers = searching(lambda block: bool(found.put(block)))
    searchers.set_work("a", EASY)
    blocks = [found.get(timeout=30) for _ in range(20)]
    assert len({(b.extranonce, b.nonce, b.time) for b in blocks}) == 20


def test_new_work_replaces_the_old(searching):
    found = queue.SimpleQueue()
    searchers = searching(lambda block: bool(found.put(block)) or True)
    searchers.set_work("hard", NEVER)
    until(lambda: searchers.hashes > 0)
    searchers.set_work("easy", EASY)
    assert found.get(timeout=30).work_id == "easy"


def test_a_verdict_on_old_work_leaves_the_new(searching):
    entered, go_on = threading.Event(), threading.Event()

    def submit(_):
        entered.set()
        return go_on.wait(30)

    searchers = searching(submit, threads=1)
    searchers.set_work("old", EASY)
    assert entered.wait(30)
    searchers.set_work("new", NEVER)
    go_on.set()
    before = searchers.hashes
    until(lambda: searchers.hashes > before)
    assert searchers._task.work_id == "new"


def wakeups(searchers):
    tasks = [Path(f"/proc/self/task/{t.native_id}/status") for t in searchers._threads]
    return [[line for line in t.read_text().splitlines() if "ctxt" in line] for t in tasks]


def test_without_work_no_thread_ever_wakes_up(searching):
    searchers = searching(lambda _: True)
    searchers.set_work("a", NEVER)
    until(lambda: searchers.hashes > 0)
    searchers.drop_work()
    until(lambda: searchers._changed.acquire() and (searchers._changed.release() or True))
    time.sleep(0.3)
    before, hashes = wakeups(searchers), searchers.hashes
    time.sleep(0.5)
    assert wakeups(searchers) == before
    assert searchers.hashes == hashes


def test_held_threads_do_not_wake_up_and_go_on_where_they_were(searching):
    searchers = searching(lambda _: True)
    searchers.set_work("a", NEVER)
    until(lambda: searchers.hashes > 0)
    searchers.hold(True)
    searchers.set_work("b", NEVER)  # new work does not end the rest
    until(lambda: searchers._changed.acquire() and (searchers._changed.release() or True))
    time.sleep(0.3)
    before, hashes = wakeups(searchers), searchers.hashes
    time.sleep(0.5)
    assert wakeups(searchers) == before
    assert searchers.hashes == hashes
    searchers.hold(False)
    until(lambda: searchers.hashes > hashes)
    assert searchers._task.work_id == "b"


def test_a_rest_repeats_no_header(searching, monkeypatch):
    tried = []

    def search(header, _target, first, count, _kernel):
        tried.append((header, first, count))
        time.sleep(0.001)

    monkeypatch.setattr(_kernels, "search", search)
    searchers = searching(lambda _: True, threads=1)
    searchers.set_work("a", NEVER)
    for _ in range(3):
        before = len(tried)
        until(lambda before=before: len(tried) > before)
        searchers.hold(True)
        searchers.hold(False)
    searchers.drop_work()
    firsts = [first for _, first, _ in tried]
    assert firsts == sorted(set(firsts))


def test_held_threads_end(searching):
    searchers = searching(lambda _: True)
    searchers.hold(True)
    searchers.set_work("a", NEVER)
    searchers.stop()
    assert not any(thread.is_alive() for thread in searchers._threads)


def test_the_processor_time_of_the_threads_is_told(searching):
    searchers = searching(lambda _: True)
    assert searchers.thread_seconds == 0
    searchers.set_work("a", NEVER)
    until(lambda: searchers.thread_seconds > 0.05)


class SetClock:
    """A clock that stands until it is set, and counts how often it is read."""

    def __init__(self):
        self.now = 100.0
        self.reads = 0

    def __call__(self):
        self.reads += 1
        return self.now


@pytest.mark.parametrize("found", [True, False], ids=["a block", "nothing"])
def test_the_rest_for_work_that_ended_is_kept_before_the_next_work(searching, monkeypatch, found):
    """What a slice took is rested for also where a block, or new work, ended it at once."""
    clock, searched, entered, go_on = SetClock(), [], threading.Event(), threading.Event()

    def search(header, _target, first, _count, _kernel):
        searched.append(header)
        if len(searched) == 1:
            entered.set()
            assert go_on.wait(30)
        clock.now += 0.01
        return first if found else None

    monkeypatch.setattr(_kernels, "search", search)
    searchers = searching(lambda _: True, threads=1, share=0.25, clock=clock)
    searchers.set_work("a", EASY)
    assert entered.wait(30)
    if not found:
        searchers.set_work("b", NEVER)  # while the slice runs
    go_on.set()
    if found:
        until(lambda: searchers._task is None)
        searchers.set_work("b", NEVER)
    looked = clock.reads
    until(lambda: clock.reads > looked + 5)  # it comes to itself again and again, and rests on
    assert len(searched) == 1
    clock.now += 0.029  # of 0.03
    looked = clock.reads
    until(lambda: clock.reads > looked + 5)
    assert len(searched) == 1
    clock.now += 0.002
    until(lambda: len(searched) == 2)
    searchers.drop_work()


def test_threads_rest_between_slices_when_they_have_a_share(searching, monkeypatch):
    rests = []
    wait_for = threading.Condition.wait_for

    def noted(self, predicate, timeout=None):
        if timeout is not None:
            rests.append(timeout)
        return wait_for(self, predicate, timeout)

    monkeypatch.setattr(threading.Condition, "wait_for", noted)
    searchers = searching(lambda _: True, threads=1, share=0.5)
    searchers.set_work("a", NEVER)
    until(lambda: len(rests) > 5)
    assert all(seconds > 0 for seconds in rests)


def test_what_ends_a_thread_is_not_lost(searching, monkeypatch):
    def broken(*_):
        raise MemoryError("no more")

    monkeypatch.setattr(_kernels, "search", broken)
    searchers = searching(lambda _: True, threads=1)
    searchers.check()
    searchers.set_work("a", EASY)
    until(lambda: searchers._failure is not None)
    with pytest.raises(MemoryError, match="no more"):
        searchers.check()


def test_stopped_threads_end(searching):
    searchers = searching(lambda _: True)
    searchers.set_work("a", NEVER)
    searchers.stop()
    assert not any(thread.is_alive() for thread in searchers._threads)
