"""What the README tells one to type works as it stands there."""

import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT, code_blocks

# Ends what the commands left running, whatever came of them.
END = "trap 'kill $(jobs -p); wait' EXIT\n"


def on_free_ports(commands):
    """The same commands, for a machine where a node may run already."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(2)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        sync, broadcast = (f"127.0.0.1:{probe.getsockname()[1]}" for probe in probes)
    assert commands.count("\nEOF\n") == 1
    table = f'[gossip]\nsync = "{sync}"\nbroadcast = "{broadcast}"'
    return commands.replace("\nEOF\n", f"\n{table}\nEOF\n")


@pytest.mark.processes
def test_the_commands_for_a_node_of_your_own_start_one(tmp_path):
    founding, starting = code_blocks((ROOT / "README.md").read_text(encoding="utf-8"), "sh")
    commands = founding + "\n" + starting
    environment = {k: v for k, v in os.environ.items() if not k.startswith("EDGENODE_")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    bash = subprocess.Popen(
        ["bash", "-euc", END + on_free_ports(commands)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        shown, errors = bash.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(bash.pid, signal.SIGKILL)
        pytest.fail(f"the node never answered: {bash.communicate()}")
    assert bash.returncode == 0, errors
    assert "ok  edgenode.toml\n" in shown
    status = [line.split() for line in shown.splitlines()]
    assert ["ward", "ward-7"] in status
    assert any(line[:2] == ["node", "bed-1,"] for line in status)
