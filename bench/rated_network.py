"""A network of namespaces: each host behind a link of its own with a rate and a loss.

It needs root, iproute2 and nftables, and touches none of the machine's own interfaces.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

SUBNET = "10.78.0"


class RatedNetwork:
    """Hosts 0 to `count` - 1 on one switch. A host's link has the rate in both directions."""

    def __init__(self, count: int, megabits: float, loss: float) -> None:
        self.names = [f"edgenode-bench-{os.getpid()}-{n}" for n in range(count)]
        self._core = f"edgenode-bench-{os.getpid()}-core"
        for name in (self._core, *self.names):
            _run("ip", "netns", "add", name)
            _run("ip", "-n", name, "link", "set", "lo", "up")
        _run("ip", "-n", self._core, "link", "add", "switch", "type", "bridge")
        _run("ip", "-n", self._core, "link", "set", "switch", "up")
        shape = ("root", "tbf", "rate", f"{megabits}mbit", "burst", "16kb", "latency", "100ms")
        rules = f"""
        table inet loss {{
            chain arriving {{
                type filter hook input priority 0;
                numgen random mod 1000 < {round(1000 * loss)} drop
            }}
        }}
        """
        for n, name in enumerate(self.names):
            port = f"port-{n}"
            link = ("link", "add", port, "type", "veth", "peer", "eth0", "netns", name)
            _run("ip", "-n", self._core, *link)
            _run("ip", "-n", self._core, "link", "set", port, "master", "switch", "up")
            _run("ip", "-n", name, "address", "add", f"{self.host(n)}/24", "dev", "eth0")
            _run("ip", "-n", name, "link", "set", "eth0", "up")
            _run("tc", "-n", name, "qdisc", "add", "dev", "eth0", *shape)
            _run("tc", "-n", self._core, "qdisc", "add", "dev", port, *shape)
            if loss:
                _run("ip", "netns", "exec", name, "nft", "-f", "-", input=rules)

    def host(self, n: int) -> str:
        """The address of a host."""
        return f"{SUBNET}.{n + 1}"

    def start(self, n: int, *command: str) -> subprocess.Popen[str]:
        """Run a program on a host; its lines come and go through pipes."""
        return subprocess.Popen(
            ["ip", "netns", "exec", self.names[n], *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def bytes_sent(self) -> int:
        """What all hosts have put on their links so far, from the Ethernet header on."""
        total = 0
        for name in self.names:
            file = "/sys/class/net/eth0/statistics/tx_bytes"
            total += int(_run("ip", "netns", "exec", name, "cat", file))
        return total

    def close(self) -> None:
        """Take it down."""
        for name in (*self.names, self._core):
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@contextmanager
def rated_network(count: int, megabits: float, loss: float) -> Iterator[RatedNetwork]:
    """A network that is taken down at the end."""
    network = RatedNetwork(count, megabits, loss)
    try:
        yield network
    finally:
        network.close()


def _run(*command: str, input: str | None = None) -> str:  # noqa: A002
    done = subprocess.run(command, input=input, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
