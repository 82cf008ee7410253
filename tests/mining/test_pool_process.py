"""The miner as a pool of its node, as a program: a small miner of our own mines real blocks."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from edgenode.ledger.target import compress
from edgenode.mining.share_ledger import PARTS
from tests.api.ledger_node import LedgerNode
from tests.ledger.builder import ALICE, BOB, CAROL, make_genesis
from tests.mining.stratum_tcp import PATIENCE_S, TcpMiner, until

pytestmark = pytest.mark.processes

HARD = compress(1 << 238)
"""2^18 hashes: a small miner finds a block in a tenth of a second, or many shares."""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Service:
    """A miner's configuration and its runs."""

    def __init__(self, directory, lines=""):
        self.directory = directory
        self.port = free_port()
        (directory / "edgenode.toml").write_text(
            '[node]\nname = "bed-1"\napi = "node.sock"\nstate = "state"\n'
            '[miner]\nkernel = "portable"\nshare = 0.01\n'
            f'stratum = "127.0.0.1:{self.port}"\n{lines}'
        )

    @contextmanager
    def running(self):
        with (self.directory / "log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "edgenode.services.miner", "--config", "edgenode.toml"],
                cwd=self.directory,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def join(self, worker):
        """A small miner, once the service listens."""

        def connected():
            try:
                return TcpMiner(("127.0.0.1", self.port), worker)
            except ConnectionRefusedError:
                return None

        return until(connected).join()

    @property
    def log(self):
        return (self.directory / "log").read_text()


@pytest.fixture
def service(tmp_path):
    return Service(tmp_path)


def node_of(**constants):
    return LedgerNode(make_genesis(target_limit=HARD, target_start=HARD, **constants))


def mine(miner, node, blocks):
    """Mine until the node has so many blocks more."""
    goal = node.height + blocks
    while node.height < goal:
        answer = miner.ask(miner.search())
        assert answer["result"] is True or answer["error"][0] == 21


def reported(node, value):
    """What the miner said last; 0 before it said anything."""
    return node.reports["miner"][0].values[value] if "miner" in node.reports else 0


def end(process):
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0


def test_a_small_miner_mines_blocks_for_the_node_and_its_shares_split_the_reward(service, tmp_path):
    node = node_of()
    with node.serving(tmp_path / "node.sock"), service.running() as process:
        with service.join(BOB.public.hex() + ".pc") as bob:
            assert bob.messages[0].endswith(f"are paid to the key {BOB.public.hex()}")
            while not reported(node, "stratum_blocks_total") >= 2:
                mine(bob, node, 1)
            report = node.reports["miner"][0]
            assert report.values["blocks_found_total"] >= 2
            assert report.values["stratum_shares_total"] >= 2
            node.wait_for_report("miner", lambda r: r.values["stratum_connections"] == 1)
            until(lambda: any(BOB.public.hex() in value for value in node.pay[-1]))
        weights = dict(value.split(":") for value in node.pay[-1])
        assert set(weights) <= {BOB.public.hex(), ALICE.public.hex()}
        assert sum(map(int, weights.values())) == PARTS
        assert int(weights[BOB.public.hex()]) > PARTS // 2
        end(process)
    assert "block of the pool" in service.log


def test_shares_outlast_a_restart(service, tmp_path):
    node = node_of()
    with node.serving(tmp_path / "node.sock"):
        with service.running() as process, service.join(CAROL.public.hex()) as carol:
            # The node's own miner may be first with a block: then the share counts for nothing.
            until(lambda: carol.ask(carol.search())["result"])
            end(process)
        assert (tmp_path / "state" / "miner" / "shares").stat().st_mode & 0o077 == 0
        node.pay.clear()
        with service.running():
            until(lambda: any(node.pay))
        assert CAROL.public.hex() in next(filter(None, node.pay))[0]


def test_shares_that_were_damaged_are_left_out_and_the_pool_goes_on(service, tmp_path):
    node = node_of()
    (tmp_path / "state" / "miner").mkdir(parents=True)
    (tmp_path / "state" / "miner" / "shares").write_bytes(b"{}" * 1000)
    with node.serving(tmp_path / "node.sock"), service.running(), service.join("") as miner:
        mine(miner, node, 1)
    assert "kept shares not used" in service.log


def test_a_split_that_the_node_refuses_stops_nobody(service, tmp_path):
    node = node_of()
    node.refuses_pay = True
    with (
        node.serving(tmp_path / "node.sock"),
        service.running(),
        service.join(BOB.public.hex()) as bob,
    ):
        mine(bob, node, 3)
    assert "the split of the reward was refused" in service.log
    assert any(node.pay)
    assert [] in node.pay


def test_members_are_known_by_their_names(service, tmp_path):
    node = node_of()
    with (
        node.serving(tmp_path / "node.sock"),
        service.running(),
        service.join("carol.pc") as miner,
    ):
        assert miner.messages == ["shares of 'carol.pc' are paid to the member carol"]


def test_an_address_that_is_taken_is_reported_and_the_node_mines_for_itself(tmp_path):
    node = LedgerNode()
    service = Service(tmp_path, "threads = 2\n")
    with (
        socket.create_server(("127.0.0.1", service.port)) as taken,
        node.serving(tmp_path / "node.sock"),
        service.running(),
    ):
        report = node.wait_for_report("miner", lambda r: "cannot serve" in r.state)
        assert "in use" in report.state
        assert node.wait_for_height(2)
        taken.close()
        with service.join("") as miner:
            assert miner.job
        node.wait_for_report("miner", lambda r: r.state == "ok")


def test_miners_wait_while_the_node_is_away_and_go_on_when_it_is_back(service, tmp_path):
    node = node_of()
    with service.running():
        with node.serving(tmp_path / "node.sock"):
            miner = service.join("")
            mine(miner, node, 1)
            pauses = service.log.count("not searching")
        # A shorter absence than the service's own pause between two requests it does not notice.
        until(lambda: service.log.count("not searching") > pauses)
        assert miner.ask(miner.search())["error"][0] == 21
        before = miner.restarts
        with node.serving(tmp_path / "node.sock"):
            miner.listen_for(lambda: miner.restarts > before)
            mine(miner, node, 1)
        miner.socket.close()


def test_a_block_that_is_found_while_the_head_moves_is_late_and_counted(service, tmp_path):
    node = node_of()
    node.refusal = "block_member"
    with node.serving(tmp_path / "node.sock"), service.running(), service.join("") as miner:
        while not node.posted_work:
            assert json.dumps(miner.ask(miner.search()))
        node.wait_for_report("miner", lambda r: r.values["refused_total"] >= 1)
        assert miner.ask(miner.search())["error"] is None
