"""A ward that mines together: boxes at another box's pool, and stock miners on a PC."""

import os
import re
import socket
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.mining.stratum_tcp import TcpMiner
from tests.ward.wards import asked, grown, height, log_of, until, ward_of

pytestmark = pytest.mark.processes

SOURCES = {"EDGENODE_MINERD": "pooler/cpuminer", "EDGENODE_CPUMINER": "JayDDee/cpuminer-opt"}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@contextmanager
def pools_of(boxes, hosts, guests=0, **plan):
    """A ward whose first boxes host pools and whose last mine for the first of these that answers.

    Yields the ward and the pools' ports.
    """
    ports = [free_port() for _ in range(hosts)]
    with ward_of(boxes, start=False, **plan) as ward:
        for number, box in enumerate(ward.boxes):
            ward.configure(box)
            lines = []
            if number < hosts:
                lines.append(f'stratum = "127.0.0.1:{ports[number]}"')
            if number >= boxes - guests:
                names = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
                lines.append(f"pool = [{names}]")
            text = box.config.read_text().replace("[miner]", "\n".join(["[miner]", *lines]))
            box.config.write_text(text)
        for number, box in enumerate(ward.boxes):
            ward.start_box(box)
            if number < hosts:  # a guest stays with whom it finds first
                until(lambda box=box: "stratum_connections" in values(box), f"{box.name}'s pool")
        yield ward, ports


def values(box):
    report = asked(box.client.services).get("miner")
    return report.values if report else {}


def test_a_box_mines_for_a_pool_for_the_next_when_that_dies_and_for_itself_without_any():
    with pools_of(3, hosts=2, guests=1, spacing=2, share=0.2) as (ward, _):
        first, second, guest = ward.boxes
        until(lambda: values(first).get("stratum_shares_total"), "shares at the first pool")
        until(lambda: values(guest).get("pool_shares_total"), "shares of the guest")
        assert values(guest)["pool_connected"] == 1
        assert not values(second).get("stratum_shares_total")

        ward.supervisor.stop([first.unit_name("miner")], kill=True)
        until(lambda: values(second).get("stratum_shares_total"), "shares at the second pool")
        # The guest reports for itself, now and then.
        until(lambda: values(guest)["pool_switches_total"] == 2, "the switch in the guest's report")

        ward.supervisor.stop([second.unit_name("miner")], kill=True)
        until(lambda: values(guest).get("pool_connected") == 0, "a guest without a pool")
        until(lambda: values(guest).get("blocks_found_total"), "blocks for the guest's own node")
        grown(ward.boxes, 2)

        ward.supervisor.start(ward.supervisor.unit(first.unit_name("miner")))
        until(lambda: values(guest).get("pool_connected") == 1, "a pool that is back")
        assert "mining for a pool" in log_of(guest, "miner")


def test_a_pool_whose_node_died_sends_nobody_away_at_once_and_mines_on_when_it_is_back():
    with pools_of(2, hosts=1, spacing=1, share=0.01) as (ward, (port,)):
        box = ward.boxes[0]
        grown(ward.boxes, 1)
        with TcpMiner(("127.0.0.1", port), box.name) as miner:
            miner.join()
            ward.supervisor.stop([box.unit_name("gossip")], kill=True)
            ward.supervisor.start(ward.supervisor.unit(box.unit_name("gossip")))
            found = values(box).get("stratum_blocks_total", 0)
            restarts = miner.restarts
            miner.listen_for(lambda: miner.restarts > restarts)
            while values(box).get("stratum_blocks_total", 0) <= found:
                answer = miner.ask(miner.search())
                assert answer["result"] is True or answer["error"][1].startswith("stale")


def stock_miner(variable):
    """A third party's miner: its path, or None where there is none on this machine."""
    path = os.environ.get(variable)
    if not path:
        pytest.skip(
            f"{variable} does not name a miner built from github.com/{SOURCES[variable]}, "
            "which no package registry has"
        )
    assert os.access(path, os.X_OK), f"{variable}: {path} is no program"
    return path


@pytest.mark.parametrize("variable", SOURCES)
def test_a_stock_miner_finds_blocks_and_its_shares_are_all_taken(variable, tmp_path):
    program = stock_miner(variable)
    # Easy for a miner of some MH/s and hard for the boxes' own hundredth of a core.
    with pools_of(2, hosts=1, spacing=2, share=0.01, hash_rate=2e6) as (ward, (port,)):
        box, other = ward.boxes
        own, payee = (asked(each.client.status).member for each in (box, other))
        output = tmp_path / "output"
        with output.open("w") as out:
            process = subprocess.Popen(
                [program, "-a", "sha256d", "-t", "1", "-R", "1",
                 "-o", f"stratum+tcp://127.0.0.1:{port}", "-u", f"{payee}.desk", "-p", "x"],
                stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            until(lambda: values(box).get("stratum_blocks_total", 0) >= 8, "blocks of the miner")
            assert process.poll() is None
            counted = values(box)
        finally:
            process.kill()
            process.wait()
        assert counted["stratum_shares_total"] >= 8
        wrong = [
            name
            for name in counted
            if re.fullmatch(r"stratum_(refused|dropped)_(?!stale).*", name) and counted[name]
        ]
        assert wrong == [], output.read_text()[-2000:]
        # Those that were on their way while the head moved.
        stale = counted["stratum_refused_stale_total"]
        assert stale <= counted["stratum_blocks_total"] + 2
        assert "the key " + payee in output.read_text()
        top = height(box)
        blocks = [box.client.block(n) for n in range(1, top + 1)]
        paid = [block.payouts for block in blocks if block.miner == own]
        assert any(payee in {payout.key for payout in payouts} for payouts in paid)
        assert sum(payout.amount for payout in paid[-1] if payout.key == payee) > 500
        assert Path(box.directory / "state" / "miner" / "shares").exists()
