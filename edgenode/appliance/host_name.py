"""Names of hosts (RFC 1123, section 2.1) and addresses of networks, as people write them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# HOST_NAME_MAX of Linux (gethostname(2)).
_OWN_NAME_LIMIT = 64
# RFC 1035, section 2.3.4, without the dot and the empty label of the root.
_NAME_LIMIT = 253
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")

_PREFIX = re.compile(r"[0-9]{1,3}")


def is_host_name(name: str, limit: int = _NAME_LIMIT) -> bool:
    """Whether it is a host name, and not what an address is written like."""
    labels = name.split(".")
    return (
        len(name) <= limit
        and all(_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdecimal()
    )


def is_own_name(name: str) -> bool:
    """Whether a Linux system can have this host name."""
    return is_host_name(name, _OWN_NAME_LIMIT)


def ip_address(text: str) -> Address:
    """An IP address without a zone.

    Raises:
        ValueError: It is none.
    """
    if "%" in text:
        raise ValueError("an address with a zone")
    return ipaddress.ip_address(text)


def ip_interface(text: str) -> Interface:
    """An address with the length of its network's prefix, such as 192.168.1.20/24.

    Raises:
        ValueError: It is none.
    """
    host, _, prefix = text.partition("/")
    if not _PREFIX.fullmatch(prefix):
        raise ValueError("no length of a prefix")
    return ipaddress.ip_interface((ip_address(host), int(prefix)))


def ip_network(text: str) -> Network:
    """A network, such as 192.168.1.0/24, or one address, which is a network of its own.

    Raises:
        ValueError: It is none, or has bits outside its prefix.
    """
    if "/" not in text:
        return ipaddress.ip_network(ip_address(text))
    return ipaddress.ip_network(ip_interface(text).with_prefixlen)


@dataclass(frozen=True, slots=True)
class StaticAddress:
    """Where an interface is when no DHCP server says so.

    Attributes:
        interface: The box's address with the length of its network's prefix.
        gateway: Router of the same network; None where the box talks to its own network only.
        dns: Name servers.
    """

    interface: Interface
    gateway: Address | None = None
    dns: tuple[Address, ...] = ()

    def __post_init__(self) -> None:
        """Check that the addresses fit each other.

        Raises:
            ValueError: They do not; the text begins with the name of the key.
        """
        address, network = self.interface.ip, self.interface.network
        if not _is_usable(address):
            raise ValueError(f"address: {address} is no address that a box can have")
        if network.version == 4 and network.prefixlen < 31:
            for special in (network.network_address, network.broadcast_address):
                if address == special:
                    raise ValueError(f"address: {address} stands for all of the network {network}")
        if self.gateway is None:
            return
        if self.gateway == address:
            raise ValueError(f"gateway: {self.gateway} is the box's own address")
        on_link = network.version == 6 and self.gateway.is_link_local
        if self.gateway not in network and not on_link:
            raise ValueError(f"gateway: {self.gateway} is not in the box's network {network}")
        if not _is_usable(self.gateway):
            raise ValueError(f"gateway: {self.gateway} is no address that a router can have")


def _is_usable(address: Address) -> bool:
    return not (address.is_unspecified or address.is_multicast or address.is_loopback)
