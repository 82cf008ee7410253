"""What the gossip service is configured with, checked before anything is opened."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from edgenode.gossip.clock import Policy
from edgenode.gossip.streams import Place
from edgenode.ledger.retention import ALL, KEPT_BLOCKS, Retention
from edgenode.protocol import wire as protocol
from edgenode.protocol.layout import SAME_HOST, Layout

Address = tuple[str, int]
"""Host and port, as Python's sockets take them."""

# It becomes a label in metrics and logs, and a host name at most sites.
_NODE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
# sun_path of Linux has 108 bytes, the last of which is 0 (unix(7)).
_SOCKET_PATH_BYTES = 107
# A new node needs one that answers; a longer list is an address book, which peers exchange.
MAX_SEEDS = 64
# The least that may be written; a node keeps some more in any case (`retention.least_kept`).
LEAST_BLOCKS = 512
LEAST_BYTES = 256 << 20
# Of the disk, by default: a damaged store and the one that is made of it fit beside each other.
KEPT_PART = 3


@dataclass(frozen=True, slots=True)
class GossipSettings:
    """The settings of one gossip service.

    Attributes:
        name: The node's name, for people; peers never see it.
        directory: Where the chain is stored.
        api: The Unix socket of the local API.
        genesis: The ward's genesis file.
        sync: Address and port to listen on for sync, such as ("0.0.0.0", 7070); None for a node
            that only listens.
        broadcast: The same for broadcast, on another port; None for a node that neither makes
            nor takes announcements.
        seeds: Sync addresses of nodes to ask first; a host may be a name.
        gateway: Where a gateway is that gives a box without a network its sockets; None for a box
            that has its own.
        peers: Whom the node talks to: all of the "ward", or its "seeds" alone.
        discovery: Whether it finds nodes on its LAN by multicast, and lets itself be found.
        ward_key: File of the ward's key.
        member_key: File of the member's key.
        clock: Which clock the node mines and signs by: "any" or "synchronised".
        keep: "recent" blocks and payloads, or "all" there ever were.
        keep_blocks: Of the recent ones so many below the head.
        keep_bytes: Or fewer while more are in use in the store; None for a third of its disk.
    """

    name: str
    directory: Path
    api: Path
    genesis: Path
    ward_key: Path
    member_key: Path
    sync: Address | None = ("0.0.0.0", 7070)  # noqa: S104  (a node talks to the ward's network)
    broadcast: Address | None = ("0.0.0.0", 7071)  # noqa: S104
    seeds: tuple[Address, ...] = ()
    gateway: Place | None = None
    peers: str = "ward"
    discovery: bool = True
    clock: str = Policy.ANY.value
    keep: str = "recent"
    keep_blocks: int = KEPT_BLOCKS
    keep_bytes: int | None = None

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: One of them is unusable; the text begins with its name.
        """
        if not _NODE_NAME.fullmatch(self.name):
            raise ValueError(
                f"name: {self.name!r} is not 1 to 64 letters, digits, '.', '_' and '-' that begin "
                "and end with a letter or digit"
            )
        if self.clock not in set(Policy):
            raise ValueError(
                f"clock: {self.clock!r} is neither "
                + " nor ".join(f'"{policy}"' for policy in Policy)
            )
        if self.keep not in {"recent", "all"}:
            raise ValueError(f'keep: {self.keep!r} is neither "recent" nor "all"')
        if not LEAST_BLOCKS <= self.keep_blocks < 2**32:
            raise ValueError(
                f"keep_blocks: {self.keep_blocks} is below {LEAST_BLOCKS}, which other boxes may "
                "need to catch up"
            )
        if self.keep_bytes is not None and self.keep_bytes < LEAST_BYTES:
            raise ValueError(
                f"keep_bytes: {self.keep_bytes} is below {LEAST_BYTES}; headers alone take 32 MB "
                "a year"
            )
        length = len(str(self.api).encode())
        if length > _SOCKET_PATH_BYTES:
            raise ValueError(
                f"api: {self.api} has {length} bytes; a Unix socket's path has at most "
                f"{_SOCKET_PATH_BYTES}, so name a shorter one"
            )
        self._check_network()

    def _check_network(self) -> None:
        for key, address in (("sync", self.sync), ("broadcast", self.broadcast)):
            if address is not None:
                _check_port(key, address)
                _check_literal(key, address[0])
        if self.sync is None and self.broadcast is None:
            raise ValueError("broadcast: sync is off, too, so the node would hear of nothing")
        if self.sync == self.broadcast:
            raise ValueError(f"broadcast: port {self.main[1]} is also that of sync")
        if self.peers not in {"ward", "seeds"}:
            raise ValueError(f'peers: {self.peers!r} is neither "ward" nor "seeds"')
        if self.peers == "seeds" and not self.seeds:
            raise ValueError('peers: with "seeds" the node needs seeds, or it talks to nobody')
        if self.gateway is not None and (self.sync is None or self.broadcast is None):
            raise ValueError("gateway: it gives the node both sockets; leave sync and broadcast on")
        if self.gateway is not None and self.gateway.host == "*":
            raise ValueError(f"gateway: {self.gateway} names no gateway")
        if len(self.seeds) > MAX_SEEDS:
            raise ValueError(f"seeds: {len(self.seeds)} are more than {MAX_SEEDS}")
        for seed in self.seeds:
            _check_port("seeds", seed)

    @property
    def main(self) -> Address:
        """Where the socket is bound through which the node speaks: sync, or the only one."""
        main = self.sync or self.broadcast
        assert main is not None, "checked"
        return main

    @property
    def layout(self) -> Layout:
        """The node's sockets, as it tells others of them."""
        broadcast = None
        if self.broadcast is not None:
            host, port = self.broadcast
            # On all of the box's addresses, or on the one that sync has: others know it then.
            apart = not _is_unspecified(host) and host != self.main[0] and "%" not in host
            broadcast = protocol.Address(host if apart else SAME_HOST, port)
        return Layout(self.sync is not None, broadcast, is_open=self.peers == "ward")

    def retention(self, disk_bytes: int) -> Retention:
        """What of the chain is kept on a disk of this size."""
        if self.keep == "all":
            return ALL
        return Retention(self.keep_blocks, self.keep_bytes or disk_bytes // KEPT_PART)


def _is_unspecified(host: str) -> bool:
    return ipaddress.ip_address(host).is_unspecified


def _check_port(key: str, address: Address) -> None:
    if not 1 <= address[1] <= 65535:
        raise ValueError(f"{key}: port {address[1]} is not in 1..65535")


def _check_literal(key: str, host: str) -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(
            f"{key}: {host!r} is no IP address of this machine; to listen on all, write 0.0.0.0"
        ) from None
