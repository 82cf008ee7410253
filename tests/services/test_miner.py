"""The miner's own loop, turn by turn, at a node with a real chain and with miners over TCP."""

import json
import socket
import threading
from contextlib import contextmanager

import pytest

from edgenode.api.client import NodeClient
from edgenode.api.shapes import ClockStatus, Solution
from edgenode.ledger.target import compress
from edgenode.mining.pool_link import PoolWork
from edgenode.mining.settings import MinerSettings
from edgenode.mining.stratum_limits import StratumLimits
from edgenode.services.hand_in import HandIn, HandInQueue, Outcome
from edgenode.services.miner import Miner
from tests.api.ledger_node import LedgerNode
from tests.ledger.builder import ALICE, BOB, make_genesis
from tests.mining.stratum_tcp import TcpMiner, serving, until
from tests.mining.stratum_ward import work

NEVER = compress(1 << 80)
LIMITS = StratumLimits(start=-16)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Bench:
    """A node and its miner, whose loop turns when the test says so."""

    def __init__(self, directory, settings, genesis):
        self.node = LedgerNode(genesis)
        self.path = directory / "node.sock"
        self.address = settings.stratum
        self.miner = Miner(NodeClient(self.path), settings, directory)

    def turn(self):
        self.miner._open()
        self.miner._turn()

    @property
    def pool(self):
        return self.miner._hosted._server._pool

    @property
    def open_round(self):
        return self.miner._hosted._server.call(lambda pool: dict(pool._ledger._open))

    def join(self, worker="bob"):
        return NotingMiner(self.address, worker).join()


class NotingMiner(TcpMiner):
    """A miner that keeps its jobs: the block that each is on, its payouts' text, whether clean."""

    def __init__(self, *args):
        self.jobs = []
        super().__init__(*args)

    def _read(self, message):
        if message.get("method") == "mining.notify":
            params = message["params"]
            self.jobs.append((params[1], params[3], params[8]))
        super()._read(message)


@contextmanager
def bench(directory, genesis=None, **settings):
    made = Bench(directory, MinerSettings(ceiling_celsius=110, **settings), genesis)
    try:
        with made.node.serving(made.path):
            yield made
    finally:
        made.miner.stop()


@contextmanager
def pool_bench(directory, **settings):
    address = ("127.0.0.1", free_port())
    genesis = make_genesis(target_limit=NEVER, target_start=NEVER)
    with bench(directory, genesis, share=0.01, stratum=address, limits=LIMITS, **settings) as made:
        yield made


def test_the_first_job_on_a_head_pays_by_the_rounds_before_it(tmp_path):
    easy = make_genesis()  # one hash in sixteen is a block
    address = ("127.0.0.1", free_port())
    with bench(tmp_path, easy, stratum=address, limits=LIMITS) as made:
        made.miner._searchers.hold(True)
        made.turn()
        with made.join() as bob:
            assert bob.ask(bob.search(1 << 251))["result"] is True
            until(lambda: made.node.height == 1)
            made.turn()
            bob.listen_for(lambda: len(bob.jobs) >= 2)
        (before, first, _), (after, second, is_clean) = bob.jobs[:2]
        assert (before != after, is_clean) == (True, True)
        assert BOB.public.hex() not in first
        assert BOB.public.hex() in second
        assert len(bob.jobs) == 2


def test_the_round_is_kept_and_the_members_are_known_after_the_miners_have_their_job(tmp_path):
    with pool_bench(tmp_path, shares=tmp_path / "shares") as made:
        made.miner._searchers.hold(True)
        made.turn()
        with made.join("bob") as bob:
            assert bob.ask(bob.search())["result"] is True
            made.miner._hosted.on_work(bytes(32), 0)  # a head that came and went
            assert not (tmp_path / "shares").exists()
            made.miner._own = None
            made.turn()
        kept = json.loads((tmp_path / "shares").read_text().splitlines()[0])
        assert kept["rounds"][-1][BOB.public.hex()] == f"{1 << 16:x}"


def test_a_round_in_which_nobody_shared_is_written_nowhere(tmp_path):
    with pool_bench(tmp_path, shares=tmp_path / "shares") as made:
        made.miner._searchers.hold(True)
        for _ in range(2):
            made.turn()
            assert not made.miner._hosted.on_work(made.node.bench.chain.head.id, 0)
            made.miner._hosted._round.on_head(bytes(32))
            made.miner._own = None
        made.turn()
        assert not (tmp_path / "shares").exists()


@pytest.mark.parametrize("reason", ["ward", "share", "clock"])
def test_miners_are_kept_when_the_ward_rests_and_not_when_only_their_node_has_no_work(
    tmp_path, reason
):
    with pool_bench(tmp_path) as made:
        made.turn()
        with made.join() as bob:
            made.node.has_work = False
            made.node.is_resting = reason == "share"
            if reason == "clock":
                made.node.clock = ClockStatus(False, "unsynchronised", "no source")
            made.turn()
            bob.listen_for(lambda: bob.no_work == 1)
            waits_since = made.miner._hosted._server.call(lambda pool: pool._without_work_since)
            assert (waits_since is None) == (reason == "ward")


def test_hashes_of_the_time_before_it_served_count_for_no_round(tmp_path):
    with pool_bench(tmp_path) as made:
        made.miner._own_hashes = 1 << 60
        made.turn()
        assert made.open_round.get(ALICE.public, 0) < 1 << 60
        made.miner._own_hashes = 1 << 61
        made.miner._own = None
        made.turn()
        assert made.open_round[ALICE.public] >= 1 << 61
        assert made.miner._own_hashes < 1 << 61


def test_a_block_that_cannot_be_handed_in_keeps_no_thread_from_a_pools_work(tmp_path):
    with bench(tmp_path, threads=1, share=1.0) as made:
        made.node.refusal = "full"
        made.turn()
        until(lambda: made.node.posted_work)
        made.miner._on_pool_work(PoolWork("1:a", work(), b"ab", 3, 1))
        before = made.miner._searchers.hashes
        until(lambda: made.miner._searchers.hashes > before + (1 << 16))
        made.node.refusal = None
        assert made.node.wait_for_height(1)


def test_a_pool_that_still_has_no_work_does_not_let_the_own_search_begin_anew(tmp_path):
    with pool_bench(tmp_path) as made:
        made.turn()
        made.miner._on_pool_work(PoolWork("1:a", work(), b"ab", 3, 1))
        made.miner._on_pool_work(None)
        task = made.miner._searchers._task
        assert task.work_id == made.miner._own.id
        made.miner._on_pool_work(None)
        assert made.miner._searchers._task is task


def test_the_search_goes_on_after_a_block_that_was_refused(tmp_path):
    with bench(tmp_path, threads=1, share=1.0) as made:
        made.node.refusal = "block_member"
        made.turn()
        until(lambda: made.node.posted_work >= 2)


def test_a_node_that_is_away_is_no_reason_to_say_that_a_pools_work_is_not_searched(tmp_path):
    with serving() as other:
        other.give(work())
        with pool_bench(tmp_path, pool=(other.address,)) as made:
            made.turn()
            until(lambda: made.miner._link.pool)
            made.miner._pause_search("the node is away")
            assert made.miner._state == "ok"


def test_what_ends_the_queue_of_blocks_is_raised(tmp_path):
    node = LedgerNode()
    with node.serving(tmp_path / "node.sock"):
        hand_in = HandIn(NodeClient(tmp_path / "node.sock"), lambda _: None)
        blocks = HandInQueue(hand_in, "blocks")
        heard, told = [], threading.Event()

        def then(outcome):
            heard.append(outcome)
            told.set()
            raise ZeroDivisionError

        blocks.put("unknown", Solution(bytes(8), 0, 0), then)
        assert told.wait(60)
        blocks.stop()
        assert heard == [Outcome.STALE]
        with pytest.raises(ZeroDivisionError):
            blocks.check()
