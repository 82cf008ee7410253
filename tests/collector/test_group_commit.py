"""Samples wait a bounded time and in bounded memory for a commit, and none is stored twice."""

import asyncio

import numpy as np
import pytest

from edgenode.collector import group_commit
from edgenode.collector.counters import Counters
from edgenode.collector.group_commit import GroupCommit
from edgenode.storage.samples import (
    SampleStore,
    StoreDamagedError,
    StoreError,
    StoreFullError,
    StreamStart,
)
from edgenode.storage.samples_reader import BEGINNING, SampleReader
from edgenode.tasks.stream import Annotation, SampleBlock
from tests.collector.ward import until


def block(n):
    return SampleBlock(1, 2 * n, np.full((1, 6), n, np.int16))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "samples" / "samples.db"


def stored(path):
    records, _ = SampleReader(path).read_after(BEGINNING, 100_000)
    return [r.first // 2 if isinstance(r, SampleBlock) else r for r in records]


class Disk:
    """Opens real stores; when `error` is set, their appends fail with it, as on a bad disk.

    With `once`, only one of them.
    """

    def __init__(self, path):
        self.path = path
        self.error = None
        self.once = False
        self.opened = 0
        self.commits = 0

    def open(self):
        disk = self
        self.opened += 1

        class Store(SampleStore):
            def append(self, records):
                if (error := disk.error) is not None:
                    disk.error = None if disk.once else error
                    raise error
                super().append(records)
                disk.commits += 1

        return Store.open(self.path, max_bytes=1 << 30)


@pytest.fixture
def disk(path, monkeypatch):
    monkeypatch.setattr(group_commit, "RETRY_S", 0.02)
    return Disk(path)


async def running(disk, within=0.02):
    counters = Counters()
    commit = GroupCommit(disk.open, within, counters)
    assert await commit.open() == 1
    return commit, counters, asyncio.create_task(commit.run())


async def test_what_is_put_is_committed_in_order(disk, path):
    commit, counters, task = await running(disk)
    for n in range(50):
        commit.put(block(n))
        await asyncio.sleep(0.002)
    await until(lambda: counters.stored_samples == 50, "the commits")
    assert stored(path) == list(range(50))
    assert disk.commits < 50
    commit.stop()
    await task


async def test_what_comes_together_goes_into_one_commit(disk, path):
    commit, _, task = await running(disk)
    for n in range(200):
        commit.put(block(n))
    commit.stop()
    await task
    assert disk.commits == 1
    assert stored(path) == list(range(200))


async def test_a_full_group_is_committed_before_its_time(disk, path):
    commit, counters, task = await running(disk, within=3600.0)
    total = 8 * group_commit.MAX_COMMIT_RECORDS
    assert total > group_commit.MAX_WAITING_RECORDS
    for n in range(total):
        commit.put(block(n))
        if (n + 1) % group_commit.MAX_COMMIT_RECORDS == 0:
            await until(lambda n=n: counters.stored_samples == n + 1, "a commit")
    assert counters.dropped_samples == 0
    commit.stop()
    await task
    assert stored(path) == list(range(total))


async def test_a_commit_whose_time_has_come_leaves_nothing_behind(disk, path, monkeypatch):
    monkeypatch.setattr(group_commit, "MAX_COMMIT_RECORDS", 10)
    commit, counters, task = await running(disk, within=3600.0)
    for n in range(25):
        commit.put(block(n))
    await until(lambda: counters.stored_samples == 25, "all commits")
    assert disk.commits == 3
    commit.stop()
    await task


async def test_a_damaged_store_is_opened_again_before_a_stop_gives_samples_up(disk, path):
    commit, counters, task = await running(disk, within=3600.0)
    commit.put(block(0))
    await asyncio.sleep(0)
    disk.error = StoreDamagedError("a page is torn")
    disk.once = True
    commit.stop()
    await task
    assert (counters.stored_samples, counters.dropped_samples) == (1, 0)
    assert stored(path) == [0]


async def test_stopping_commits_what_waits_without_waiting_for_the_bound(disk, path):
    commit, counters, task = await running(disk, within=3600.0)
    commit.put(block(0))
    await asyncio.sleep(0)
    commit.stop()
    await task
    assert stored(path) == [0]
    assert counters.stored_samples == 1


async def test_stopping_with_nothing_to_commit_closes_the_store(disk, path):
    commit, _, task = await running(disk)
    commit.stop()
    await task
    SampleStore.open(path, max_bytes=1 << 30).close()  # the lock is free


async def test_a_full_disk_keeps_samples_waiting_then_drops_the_newest_and_resumes(
    disk, path, monkeypatch
):
    monkeypatch.setattr(group_commit, "MAX_WAITING_RECORDS", 100)
    commit, counters, task = await running(disk)
    disk.error = StoreFullError("no room")
    for n in range(100):
        commit.put(block(n))
    for code in (1, 2, 3):
        commit.put(Annotation(1, 1000 + code, code))
        commit.put(block(500 + code))
    await until(lambda: counters.store_errors >= 2, "errors")
    assert counters.dropped_samples == 3
    disk.error = None
    await until(lambda: counters.stored_samples == 100, "the commit")
    commit.put(block(600))
    commit.stop()
    await task
    # The label that is in force when there is room again is the right one.
    assert stored(path) == [*range(100), Annotation(1, 1003, 3), 600]
    assert disk.opened == 1


async def test_after_a_refusal_the_next_attempt_does_not_wait_for_the_bound_again(disk, path):
    commit, counters, task = await running(disk, within=3600.0)
    disk.error = StoreFullError("no room")
    for n in range(group_commit.MAX_COMMIT_RECORDS):
        commit.put(block(n))
    await until(lambda: counters.store_errors >= 3, "three attempts")
    disk.error = None
    await until(lambda: counters.stored_samples == group_commit.MAX_COMMIT_RECORDS, "the commit")
    commit.stop()
    await task


async def test_samples_that_are_dropped_leave_one_log_line_a_minute(disk, monkeypatch, caplog):
    monkeypatch.setattr(group_commit, "MAX_WAITING_RECORDS", 10)
    commit, counters, task = await running(disk)
    for n in range(30):
        commit.put(block(n))
    assert counters.dropped_samples == 20
    assert caplog.text.count("dropping samples") == 1
    commit.stop()
    await task


async def test_streams_that_begin_while_samples_are_dropped_wait_in_bounded_memory(
    disk, path, monkeypatch
):
    monkeypatch.setattr(group_commit, "MAX_WAITING_RECORDS", 10)
    commit, counters, task = await running(disk)
    disk.error = StoreFullError("no room")
    commit.put(StreamStart(1, "F0:0E:00:00:00:01"))
    for n in range(9):
        commit.put(block(n))
    for stream in range(2, 1000):
        commit.put(StreamStart(stream, f"F0:0E:00:00:00:0{stream % 2}"))
        commit.put(Annotation(stream, 0, 3))
        commit.put(Annotation(stream, 50, 4))
        commit.put(SampleBlock(stream, 50, np.zeros((1, 6), np.int16)))
    assert len(commit._waiting) == 10 + 2 * 2
    disk.error = None
    await until(lambda: counters.stored_samples == 9, "the commit")
    commit.put(SampleBlock(999, 60, np.zeros((1, 6), np.int16)))
    commit.stop()
    await task
    assert stored(path) == [*range(9), Annotation(998, 50, 4), Annotation(999, 50, 4), 30]
    store = SampleStore.open(path, max_bytes=1 << 30)
    assert store.next_stream == 1000
    store.close()


async def test_a_store_that_fails_otherwise_is_opened_again_and_nothing_is_lost(disk, path):
    commit, counters, task = await running(disk)
    commit.put(block(0))
    await until(lambda: counters.stored_samples == 1, "the first commit")
    disk.error = StoreError("the disk is gone")
    commit.put(block(1))
    await until(lambda: counters.store_errors >= 1, "an error")
    disk.error = None
    commit.put(block(2))
    await until(lambda: counters.stored_samples == 3, "the other commits")
    commit.stop()
    await task
    assert stored(path) == [0, 1, 2]
    assert disk.opened == 2


async def test_a_stop_while_the_disk_refuses_ends_and_counts_what_is_lost(disk, path, caplog):
    commit, counters, task = await running(disk)
    disk.error = StoreFullError("no room")
    commit.put(block(0))
    commit.stop()
    await task
    assert counters.dropped_samples == 1
    left = [record for record in caplog.records if "did not take" in record.getMessage()]
    assert [record.samples for record in left] == [1]
    assert stored(path) == []


async def test_an_outage_writes_one_log_line_a_minute(disk, caplog):
    commit, counters, task = await running(disk)
    disk.error = StoreFullError("no room")
    commit.put(block(0))
    await until(lambda: counters.store_errors >= 5, "errors")
    disk.error = None
    commit.stop()
    await task
    assert caplog.text.count("samples wait in memory") == 1
