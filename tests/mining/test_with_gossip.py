"""Miner, exporter and command at a real node: the gossip service with a ward of one."""

import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager

import pytest
from click.testing import CliRunner

from edgenode.api.client import ApiError, NodeClient, NodeUnavailableError
from edgenode.cli.main import cli
from edgenode.cli.new_genesis import new_genesis
from edgenode.ledger.genesis import Member
from edgenode.ledger.genesis_file import format_genesis
from edgenode.ledger.keys import MemberKey
from edgenode.storage.keyfile import write_key

pytestmark = pytest.mark.processes


def free_udp_ports(count):
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@pytest.fixture
def ward(tmp_path):
    """A directory with all that a ward of one needs; a block takes a second."""
    key = MemberKey.generate()
    write_key(tmp_path / "member.key", key.seed, "member key")
    write_key(tmp_path / "ward.key", bytes(32), "ward key")
    genesis = new_genesis(
        name="ward of one",
        time=int(time.time()) - 10,
        members=[Member("bed-1", key.public.hex())],
        models=["activity"],
        spacing=1,
        hash_rate=100_000,
    )
    (tmp_path / "genesis.toml").write_text(format_genesis(genesis))
    sync, broadcast = free_udp_ports(2)
    (tmp_path / "edgenode.toml").write_text(
        f"""\
[node]
name = "bed-1"
state = "state"
api = "node.sock"
[gossip]
sync = "127.0.0.1:{sync}"
broadcast = "127.0.0.1:{broadcast}"
[miner]
share = 0.5
ceiling_celsius = 110
"""
    )
    return tmp_path


@contextmanager
def running(service, ward):
    with (ward / f"{service}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"edgenode.services.{service}", "--config", "edgenode.toml"],
            cwd=ward,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def height(client):
    try:
        return client.head().height
    except (NodeUnavailableError, ApiError):
        return -1


def states(client):
    return {name: report.state for name, report in client.services().items()}


def wait_for(condition, ward, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        logs = {path.name: path.read_text()[-2000:] for path in ward.glob("*.log")}
        assert time.monotonic() < end, logs
        time.sleep(0.05)


def test_a_node_alone_mines_and_goes_on_when_its_node_was_killed(ward):
    client = NodeClient(ward / "node.sock")
    with running("miner", ward) as miner:
        with running("gossip", ward) as gossip:
            wait_for(lambda: height(client) >= 3, ward)
            wait_for(lambda: "miner" in client.services(), ward)
            tip = client.head()
            gossip.send_signal(signal.SIGKILL)
            gossip.wait()
        with running("gossip", ward) as gossip:
            wait_for(lambda: height(client) >= tip.height + 2, ward)
            assert client.block(tip.height).id == tip.id
            wait_for(lambda: states(client) == {"miner": "ok"}, ward)
            assert client.services()["miner"].values["refused_total"] == 0
            shown = CliRunner().invoke(
                cli, ["--config", str(ward / "edgenode.toml"), "chain", "show", str(tip.height)]
            )
            assert (shown.exit_code, tip.id in shown.stdout) == (0, True)
        assert miner.poll() is None
        miner.send_signal(signal.SIGTERM)
        assert miner.wait(30) == 0
    assert "block found" in (ward / "miner.log").read_text()
