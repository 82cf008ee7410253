"""The miner, as systemd starts it, at a node with a real chain."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from edgenode.mining import kernels
from tests.api.ledger_node import LedgerNode
from tests.ledger.builder import make_genesis
from tests.mining.thermal import Thermal

pytestmark = pytest.mark.processes

HARD = 0x1A010000  # 2^80 hashes: never found


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "edgenode.toml"
    path.write_text(
        '[node]\nname = "bed-1"\napi = "node.sock"\n[miner]\nthreads = 2\nshare = 0.5\n'
        "ceiling_celsius = 110\n"  # whatever machine this is
    )
    return path


@contextmanager
def mining(config, **environment):
    process = subprocess.Popen(
        [sys.executable, "-m", "edgenode.services.miner", "--config", str(config)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(process):
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    return process.returncode, errors


def test_it_makes_blocks_reports_and_ends_in_order(config, tmp_path):
    node = LedgerNode()
    with node.serving(tmp_path / "node.sock"), mining(config) as process:
        assert node.wait_for_height(5)
        report = node.wait_for_report("miner", lambda r: r.values["blocks_found_total"] >= 5)
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == 19
        code, errors = ended(process)
    assert code == 0, errors
    assert re.search(f"hash kernel chosen kernel=({'|'.join(kernels.RUNS_HERE)}) ", errors)
    assert report.state == "ok"
    assert report.values["hashes_total"] >= 5
    assert report.values["refused_total"] == 0
    assert "block found" in errors


def test_it_ends_with_a_reason_where_its_kernel_does_not_run(config):
    elsewhere = next(name for name in kernels.KERNELS if name not in kernels.RUNS_HERE)
    config.write_text(config.read_text() + f'kernel = "{elsewhere}"\n')
    with mining(config) as process:
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 5
    assert f"{config}: [miner] kernel: this machine cannot run the kernel {elsewhere}" in errors


def test_it_turns_to_a_new_head_and_back_to_a_node_that_was_away(config, tmp_path):
    hard = make_genesis(target_start=HARD)
    node = LedgerNode(hard)
    easy = LedgerNode()
    with mining(config) as process:
        with node.serving(tmp_path / "node.sock"):
            node.wait_for_report("miner", lambda r: r.values["hash_rate"] > 0)
        # Another node under the same path: the service was restarted and knows other work.
        with easy.serving(tmp_path / "node.sock"):
            assert easy.wait_for_height(2)
            easy.grow(3)  # blocks from elsewhere, in the middle of its search
            assert easy.wait_for_height(easy.height + 3)
        assert process.poll() is None
        code, errors = ended(process)
    assert code == 0, errors


RUN = """
import sys
from pathlib import Path
from edgenode.api.client import NodeClient
from edgenode.mining.settings import MinerSettings
from edgenode.services.miner import Miner
socket, zones = map(Path, sys.argv[1:])
Miner(NodeClient(socket), MinerSettings(share=1.0, watts=2.0), zones).run()
"""


@pytest.fixture
def hot_box(tmp_path):
    """A miner's process on a box whose temperature can be set."""
    thermal = Thermal(tmp_path / "sys")
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path / "node.sock"), str(thermal.root)]
    )
    yield thermal
    process.kill()
    process.wait()


def test_it_rests_while_the_box_is_too_warm_and_goes_on_when_it_has_cooled(hot_box, tmp_path):
    hot_box.set(0, "cpu-thermal", "90000\n")
    node = LedgerNode()
    with node.serving(tmp_path / "node.sock"):
        report = node.wait_for_report("miner", lambda r: r.state.startswith("too warm: resting"))
        assert report.values["temperature_celsius"] == 90
        report = node.wait_for_report("miner", lambda r: r.values["rested_seconds_total"] > 0)
        assert (report.values["hashes_total"], node.height) == (0, 0)
        hot_box.set(0, "cpu-thermal", "40000\n")
        assert node.wait_for_height(3)
        report = node.wait_for_report("miner", lambda r: r.values["blocks_found_total"] >= 3)
        assert report.state == "ok"
        joules = report.values["joules_total"]
        assert (
            0
            < joules
            == pytest.approx(
                report.values["joules_per_block"] * report.values["blocks_found_total"]
            )
        )
        hot_box.set(0, "cpu-thermal", "70000\n")
        node.wait_for_report("miner", lambda r: r.state.startswith("too warm: resting"))


def test_refusals_are_counted_and_reported_and_the_search_goes_on(config, tmp_path):
    node = LedgerNode()
    node.refusal = "block_member"
    with node.serving(tmp_path / "node.sock"), mining(config) as process:
        report = node.wait_for_report("miner", lambda r: r.values["refused_total"] >= 2)
        assert "a block was refused: block_member" in report.state
        assert node.height == 0
        node.refusal = None
        assert node.wait_for_height(2)
        assert process.poll() is None


def test_a_block_is_handed_in_again_when_the_node_had_no_room(config, tmp_path):
    node = LedgerNode()
    node.refusal = "full"
    with node.serving(tmp_path / "node.sock"), mining(config):
        node.wait_for_report("miner", lambda r: "could not be handed in yet: full" in r.state)
        posted = node.posted_work
        assert posted >= 1
        node.refusal = None
        assert node.wait_for_height(1)
        report = node.wait_for_report("miner", lambda r: r.values["blocks_found_total"] >= 1)
        assert report.values["refused_total"] == 0


def test_without_work_it_waits_without_hashing(config, tmp_path):
    node = LedgerNode()
    node.has_work = False
    with node.serving(tmp_path / "node.sock"), mining(config):
        report = node.wait_for_report("miner", lambda r: "no work" in r.state)
        assert report.values["hashes_total"] == 0
        node.has_work = True
        node.grow(1)
        assert node.wait_for_height(3)


def test_without_a_node_it_waits_and_begins_when_there_is_one(config, tmp_path):
    node = LedgerNode()
    with mining(config):
        time.sleep(1)
        with node.serving(tmp_path / "node.sock"):
            assert node.wait_for_height(1)


def test_systemd_hears_that_it_is_ready_alive_and_ending(config, tmp_path):
    library = Path("/usr/lib/python3/dist-packages/systemd")  # Debian's; PyPI has sources only
    if not list(library.glob("_daemon.cpython-311-*.so")):
        missing = "python3-systemd for Python 3.11 is not installed"
        assert not os.environ.get("EDGENODE_REQUIRE_TOOLS"), missing
        pytest.skip(missing)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "systemd").symlink_to(library)
    node = LedgerNode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        heard = set()
        with (
            node.serving(tmp_path / "node.sock"),
            mining(
                config, NOTIFY_SOCKET=str(tmp_path / "notify"), PYTHONPATH=str(tmp_path / "site")
            ) as process,
        ):
            while not {"READY=1", "WATCHDOG=1"} <= heard:
                heard.add(systemd.recv(100).decode())
            process.send_signal(signal.SIGTERM)
            while "STOPPING=1" not in heard:
                heard.add(systemd.recv(100).decode())
