"""The gossip service as a process: what it refuses before it opens anything."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.ward.wards import ward_of

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("there", ["a file", "a directory"])
def test_what_stands_where_the_socket_should_be_is_left_alone_unless_it_is_one(there):
    with ward_of(1, start=False, hash_rate=1000) as ward:
        (box,) = ward.boxes
        ward.configure(box)
        if there == "a file":
            box.api.write_text("precious")
        else:
            box.api.mkdir()
        program = Path(sys.executable).with_name("edgenode-gossip")
        ran = subprocess.run(
            [program, "--config", box.config],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ran.returncode == 5, ran.stderr
        assert ran.stderr.splitlines()[-1] == (
            f"edgenode-gossip: {box.api} is no socket; move it away, or name another path as "
            "[node] api"
        )
        assert box.api.is_dir() if there == "a directory" else box.api.read_text() == "precious"
