"""Network namespaces: each box in one of its own, on two switches with a link between them."""

import os
import re
import subprocess
from contextlib import contextmanager

from tests.conftest import require_root, require_tool

SUBNET = "10.77.0"
LINK = ("link-a", "link-b")


@contextmanager
def network(count):
    """Namespaces for so many boxes; the first half hangs on one switch, the rest on the other.

    Nothing of it touches the machine's own interfaces: the switches have a namespace as well.
    """
    ip = require_tool("ip", "iproute2")
    require_root("make network namespaces")
    made = []
    try:
        yield _Network(ip, count, made)
    finally:
        for name in made:
            subprocess.run([ip, "netns", "del", name], check=False)


class _Network:
    def __init__(self, ip, count, made):
        self._ip = ip
        unique = f"edgenode-{os.getpid()}"
        self._core = f"{unique}-core"
        self.names = [f"{unique}-{n}" for n in range(1, count + 1)]
        for name in (self._core, *self.names):
            self._run("netns", "add", name)
            made.append(name)
            self._run("-n", name, "link", "set", "lo", "up")
        self._run("-n", self._core, "link", "add", LINK[0], "type", "veth", "peer", LINK[1])
        for half, link in enumerate(LINK):
            self._run("-n", self._core, "link", "add", f"switch-{half}", "type", "bridge")
            self._run("-n", self._core, "link", "set", f"switch-{half}", "up")
            self._attach(link, half)
        for n, name in enumerate(self.names):
            port = f"box-{n + 1}"
            self._run(
                *("-n", self._core, "link", "add", port, "type", "veth"),
                *("peer", "eth0", "netns", name),
            )
            self._attach(port, 2 * n // count)
            self._run("-n", name, "address", "add", f"{SUBNET}.{n + 1}/24", "dev", "eth0")
            self._run("-n", name, "link", "set", "eth0", "up")

    def place(self, boxes):
        """Give each box a namespace and its address in it."""
        for n, (box, name) in enumerate(zip(boxes, self.names, strict=True), 1):
            box.namespace, box.host = name, f"{SUBNET}.{n}"

    def cut(self):
        """Take the link between the switches down."""
        self._run("-n", self._core, "link", "set", LINK[0], "down")

    def join(self):
        """Bring it up again."""
        self._run("-n", self._core, "link", "set", LINK[0], "up")

    def lose(self, percent):
        """From now on each datagram to any box is lost with this probability."""
        nft = require_tool("nft", "nftables")
        rules = f"""
        table inet loss {{
            chain arriving {{
                type filter hook input priority 0;
                meta l4proto udp numgen random mod 100 < {percent} counter drop
                meta l4proto udp counter
            }}
        }}
        """
        for name in self.names:
            self._run("netns", "exec", name, nft, "-f", "-", input=rules)

    def lost(self):
        """For each box how many datagrams were lost, and how many arrived."""
        listings = [
            self._run("netns", "exec", name, "nft", "list", "table", "inet", "loss")
            for name in self.names
        ]
        return [tuple(map(int, re.findall(r"counter packets (\d+)", text))) for text in listings]

    def _attach(self, port, half):
        self._run("-n", self._core, "link", "set", port, "master", f"switch-{half}", "up")

    def _run(self, *arguments, **options):
        done = subprocess.run(
            [self._ip, *arguments], capture_output=True, text=True, check=False, **options
        )
        assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr.strip()}"
        return done.stdout
