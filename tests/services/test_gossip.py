"""The gossip service as a process: what it refuses at its start."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

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
