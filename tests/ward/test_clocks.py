"""A box whose clock nobody vouches for, in a ward of real processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from edgenode.api.client import ApiError
from edgenode.cli.__main__ import __file__ as command_file
from tests.ward.wards import (
    Program,
    asked,
    chain_of,
    grown,
    learned,
    log_of,
    until,
    ward_of,
)

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]

SANDBOX = Path(__file__).parents[1] / "gossip" / "sandbox.py"


def confine(ward, box):
    """Have a box ask for a synchronised clock, and keep its gossip service from the kernel's."""
    ward.configure(box)
    text = box.config.read_text()
    box.config.write_text(text.replace("[node]", '[node]\nclock = "synchronised"', 1))
    for service in ("gossip", "miner"):
        unit = ward._unit(box, service)
        if service == "gossip":
            unit.command = [
                sys.executable, str(SANDBOX), "edgenode.services.gossip",
                "--config", str(box.config),
            ]  # fmt: skip
        ward.supervisor.start(unit)


def edgenode(box, *arguments):
    """What the `edgenode` command prints about a box."""
    command = [sys.executable, command_file, "--config", box.config, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_a_box_follows_the_chain_and_takes_part_when_somebody_has_looked_at_its_clock():
    with ward_of(2, start=False) as ward:
        box, other = ward.boxes
        ward.configure(other)
        ward.start_box(other)
        confine(ward, box)
        grown(ward.boxes, 3)

        clock = asked(box.client.clock)
        assert (clock.trusted, clock.state) == (False, "unsynchronised")
        assert asked(box.client.status).blocks_mined == 0
        assert all(block.miner != box.key.public.hex() for block in chain_of(box))
        report = until(lambda: box.client.services().get("miner"), "the miner to report")
        assert report.state.startswith("the node has no work yet")
        assert "clock       NOT TRUSTED, no mining: not synchronised yet" in edgenode(box, "status")
        assert log_of(box).count("the clock is not trusted") == 1
        with pytest.raises(ApiError, match="clock_untrusted") as refused:
            Program(box, 1).submit()
        assert refused.value.status == 503

        assert "accepted by hand" in edgenode(box, "clock", "accept")
        until(lambda: box.client.status().blocks_mined, "the box to mine")
        learned(Program(box, 2))

        unit = ward.supervisor.unit(box.unit_name("gossip"))
        starts = unit.starts
        ward.supervisor.kill(unit.name)
        until(lambda: unit.starts > starts, "the service to be started again")
        assert until(box.client.clock, "the box to answer").state == "accepted"
        until(lambda: box.client.status().blocks_mined, "the box to mine again")
