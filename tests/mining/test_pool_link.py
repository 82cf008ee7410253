"""A box mines for the first pool that answers; when that dies, for the next, or for itself."""

import queue
import socket
from contextlib import contextmanager

import pytest

from edgenode.mining.pool_link import PoolLink
from edgenode.mining.searchers import Searchers
from edgenode.mining.stratum_limits import StratumLimits
from tests.mining.stratum_tcp import PATIENCE_S, serving, until
from tests.mining.stratum_ward import BOB, EASY, work


class Box:
    """Searching threads that do what a link says."""

    def __init__(self, pools, worker):
        self.told = queue.SimpleQueue()
        self.searchers = Searchers(1, 1.0, self.submit)
        self.link = None
        self.link = PoolLink(pools, worker, self.on_work)

    def submit(self, found):
        # The link may have given work before it is known here; the search goes on.
        return self.link is not None and self.link.submit(found)

    def on_work(self, work):
        self.told.put(work)
        if work is None:
            self.searchers.drop_work()
        else:
            self.searchers.set_work(
                work.id,
                work.work,
                prefix=work.prefix,
                counter_bytes=work.counter_bytes,
                target=work.target,
            )

    def stop(self):
        self.link.stop()
        self.searchers.stop()
        self.link.check()
        self.searchers.check()


@contextmanager
def box(*pools):
    made = Box([pool if isinstance(pool, tuple) else pool.address for pool in pools], BOB.hex())
    try:
        yield made
    finally:
        made.stop()


def dead():
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()


def test_a_box_mines_for_a_pool_and_its_shares_are_taken():
    with serving() as pool:
        pool.give(work())
        with box(pool) as bed:
            until(lambda: bed.link.counts.accepted >= 5)
            assert bed.link.pool == pool.address
            assert bed.link.counts.refused == 0
            assert pool.hashes()[BOB] >= 5 << 16


def test_a_box_finds_blocks_for_its_pool():
    with serving() as pool:
        made = work(target=EASY)
        pool.give(made)
        with box(pool):
            found = pool.found.get(timeout=PATIENCE_S)
            assert found.payee == BOB
            header = made.header(found.extranonce, found.nonce, found.time)
            assert int.from_bytes(header.id, "little") <= made.target_number


def test_a_box_stops_while_its_pool_rests_and_stays_with_it():
    with serving() as pool:
        pool.give(work())
        with box(pool) as bed:
            until(lambda: bed.link.counts.accepted)
            pool.rest()
            while bed.told.get(timeout=PATIENCE_S) is not None:
                pass
            assert bed.link.pool == pool.address
            before = pool.connections, pool.counts.accepted
            pool.give(work(2))
            until(lambda: pool.counts.accepted > before[1])
            assert (before[0], bed.link.counts.switches) == (1, 1)
            assert pool.counts.refused.total() <= 1  # a share that was on its way


def test_another_pool_takes_over_when_one_dies():
    with serving() as first, serving() as second:
        first.give(work())
        second.give(work())
        with box(dead(), first, second) as bed:
            until(lambda: bed.link.counts.accepted >= 2)
            assert bed.link.pool == first.address
            assert second.counts.accepted == 0
            first.server.stop()
            until(lambda: second.counts.accepted >= 2)
            assert bed.link.pool == second.address
            assert bed.link.counts.switches == 2


def test_without_any_pool_the_box_is_told_and_comes_back_when_there_is_one():
    with serving() as pool:
        pool.give(work())
        address = pool.address
        with box(pool) as bed:
            until(lambda: bed.link.counts.accepted)
            pool.server.stop()
            while bed.told.get(timeout=PATIENCE_S) is not None:
                pass
            assert bed.link.pool is None
            with serving(port=address[1]) as again:
                again.give(work(2))
                until(lambda: again.counts.accepted)


@pytest.mark.parametrize("said", [b"", b"nonsense\n", b'{"id":1,"result":[[],"00",1]}\n'])
def test_what_is_no_pool_is_passed_over(said):
    with socket.create_server(("127.0.0.1", 0)) as odd, serving() as pool:
        pool.give(work())
        with box(odd.getsockname(), pool):
            connection, _ = odd.accept()
            with connection:
                connection.sendall(said)
                if not said:
                    connection.close()
                until(lambda: pool.counts.accepted)


def test_a_pool_that_lets_in_and_throws_out_is_passed_over_for_the_next():
    with (
        serving(StratumLimits(start=-16, requests_burst=4, requests_per_s=1)) as strict,
        serving() as kind,
    ):
        strict.give(work())
        kind.give(work())
        with box(strict, kind) as bed:
            until(lambda: kind.counts.accepted)
            assert bed.link.pool == kind.address
            assert strict.counts.dropped["flood"] >= 1
