"""What the gossip service is configured with, checked before anything is opened."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from edgenode.gossip.clock import Policy

Address = tuple[str, int]
"""Host and port, as Python's sockets take them."""

# It becomes a label in metrics and logs, and a host name at most sites.
_NODE_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
# sun_path of Linux has 108 bytes, the last of which is 0 (unix(7)).
_SOCKET_PATH_BYTES = 107
# A new node needs one that answers; a longer list is an address book, which peers exchange.
MAX_SEEDS = 64


@dataclass(frozen=True, slots=True)
class GossipSettings:
    """The settings of one gossip service.

    Attributes:
        name: The node's name, for people; peers never see it.
        directory: Where the chain is stored.
        api: The Unix socket of the local API.
        genesis: The ward's genesis file.
        sync: Address and port to listen on for sync, such as ("0.0.0.0", 7070).
        broadcast: The same for broadcast; another port.
        seeds: Sync addresses of nodes to ask first; a host may be a name.
        ward_key: File of the ward's key.
        member_key: File of the member's key.
        clock: Which clock the node mines and signs by: "any" or "synchronised".
    """

    name: str
    directory: Path
    api: Path
    genesis: Path
    ward_key: Path
    member_key: Path
    sync: Address = ("0.0.0.0", 7070)  # noqa: S104  (a node talks to the ward's network)
    broadcast: Address = ("0.0.0.0", 7071)  # noqa: S104
    seeds: tuple[Address, ...] = ()
    clock: str = Policy.ANY.value

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
        length = len(str(self.api).encode())
        if length > _SOCKET_PATH_BYTES:
            raise ValueError(
                f"api: {self.api} has {length} bytes; a Unix socket's path has at most "
                f"{_SOCKET_PATH_BYTES}, so name a shorter one"
            )
        for key, address in (("sync", self.sync), ("broadcast", self.broadcast)):
            _check_port(key, address)
            _check_literal(key, address[0])
        if self.sync[1] == self.broadcast[1] and self.sync[0] == self.broadcast[0]:
            raise ValueError(f"broadcast: port {self.broadcast[1]} is also that of sync")
        if len(self.seeds) > MAX_SEEDS:
            raise ValueError(f"seeds: {len(self.seeds)} are more than {MAX_SEEDS}")
        for seed in self.seeds:
            _check_port("seeds", seed)


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
