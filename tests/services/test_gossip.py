"""The gossip service as a process: what it refuses at its start."""

import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from edgenode.gossip.start_up import genesis_parameters
from edgenode.learning import update_codec
from edgenode.learning.update_codec import Codec
from edgenode.ledger.hashes import content_id
from edgenode.storage.format_check import check_chain_store
from tests.cli.test_store_commands import StoredWard
from tests.ledger.builder import BOB, NOW, Bench
from tests.ward.wards import ward_of

pytestmark = pytest.mark.processes


def run(box):
    program = Path(sys.executable).with_name("edgenode-gossip")
    return subprocess.run(
        [program, "--config", box.config],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("there", ["a file", "a directory"])
def test_what_stands_where_the_socket_should_be_is_left_alone_unless_it_is_one(there):
    with ward_of(1, start=False, hash_rate=1000) as ward:
        (box,) = ward.boxes
        ward.configure(box)
        if there == "a file":
            box.api.write_text("precious")
        else:
            box.api.mkdir()
        ran = run(box)
        assert ran.returncode == 5, ran.stderr
        assert ran.stderr.splitlines()[-1] == (
            f"edgenode-gossip: {box.api} is no socket; move it away, or name another path as "
            "[node] api"
        )
        assert box.api.is_dir() if there == "a directory" else box.api.read_text() == "precious"


@pytest.mark.parametrize("key", ["sync", "broadcast"])
def test_a_port_that_is_taken_is_reported_with_the_key_to_change(key):
    with ward_of(1, start=False, hash_rate=1000) as ward:
        (box,) = ward.boxes
        ward.configure(box)
        address = (box.host, getattr(box, key))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind(address)
            ran = run(box)
    assert ran.returncode == 1, ran.stderr
    assert ran.stderr.splitlines()[-1] == (
        f'edgenode-gossip: [gossip] {key} = "{address[0]}:{address[1]}": another process uses '
        "this port; name another one in the configuration"
    )


def test_an_address_that_this_machine_lacks_is_reported_with_its_key():
    with ward_of(1, start=False, hash_rate=1000) as ward:
        (box,) = ward.boxes
        ward.configure(box)
        text = box.config.read_text()
        box.config.write_text(text.replace(f"{box.host}:{box.sync}", "192.0.2.1:7070"))
        ran = run(box)
    assert ran.returncode == 1, ran.stderr
    assert ran.stderr.splitlines()[-1] == (
        'edgenode-gossip: [gossip] sync = "192.0.2.1:7070": Cannot assign requested address'
    )


def test_damage_that_only_the_node_meets_at_its_start_is_noted_for_the_next(tmp_path):
    """Else each start would end by it: what is opened before is as it was."""
    ward = StoredWard(tmp_path)
    other = Bench(ward.genesis, parameters=genesis_parameters(ward.genesis))
    ward.grow(2)
    other.add(ward.chain.block(ward.chain.at(1).id))
    update, payload = zero_update(other)
    for chain in (ward.chain, other.chain):
        chain.add_payload(payload)
    ward.chain.add_block(other.block(update, miner=BOB), NOW)
    ward.store.settle()
    pages = "SELECT pageno FROM dbstat WHERE name = 'payload'"
    (page, *overflow) = [number for (number,) in ward.store._db.execute(pages)]
    assert overflow, "a payload has pages of its own"
    ward.store.close()
    with ward.path.open("r+b") as file:
        file.seek(4096 * (page - 1))
        file.write(bytes(4096))
    ran = run(SimpleNamespace(config=tmp_path / "edgenode.toml"))
    assert ran.returncode == 1, ran.stderr
    assert ran.stderr.splitlines()[-1].endswith("another start mends it")
    assert "is damaged" in check_chain_store(ward.path)


def zero_update(bench):
    """An update that changes nothing."""
    payload = update_codec.encode(np.zeros_like(bench.chain.state.parameters[0]), Codec.INT32)
    return bench.update(payload=content_id(payload), payload_length=len(payload))[0], payload
