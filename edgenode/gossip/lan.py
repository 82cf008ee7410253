"""Beacons by multicast: how the boxes of a ward find each other on a LAN without any address."""

from __future__ import annotations

import ipaddress
import logging
import socket
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

import ifaddr

from edgenode.gossip.udp import Datagrams, UdpSocket
from edgenode.protocol.wire import Address

log = logging.getLogger(__name__)

DISCOVERY_PORT = 7072
"""All boxes have the same one: it is what they agree on before they know anything of each other."""

GROUP_V4 = "239.255.70.72"
"""Of the block that stays within a site (RFC 2365); by its time to live it stays on the link."""

GROUP_V6 = "ff12::7072"
"""Not assigned to anybody for good, of the link (RFC 4291, 2.7)."""

INTERFACES_LIMIT = 16
"""Networks that beacons are sent on; a box has two or three."""

_IPV4_WILDCARD, _IPV6_WILDCARD = "0.0.0.0", "::"  # noqa: S104  (compared, not bound)


class Interface(NamedTuple):
    """One address of this box, and the number of the network interface that has it."""

    host: str
    number: int


class Lan:
    """The discovery sockets of a box. A network that comes up later is found by the next beacon."""

    def __init__(self, sync: tuple[str, int], received: Callable[[Datagrams], None]) -> None:
        """Listen for beacons; `sync` is where the node's own sync socket is bound.

        A box that cannot do so goes on without: it has seeds.
        """
        self._sync = sync
        self._sockets: dict[int, UdpSocket] = {}
        self._joined: set[tuple[int, int]] = set()
        groups = {socket.AF_INET: GROUP_V4}
        if ":" in sync[0]:
            groups[socket.AF_INET6] = GROUP_V6
        for family, group in groups.items():
            try:
                bound = _bound(family, group)
            except OSError as error:
                log.warning("no beacons are heard", extra={"group": group, "error": error})
            else:
                self._sockets[family] = UdpSocket("discovery", bound, received)
        self.look()

    def look(self) -> list[Interface]:
        """Hear beacons on the networks that there are now; returns the addresses to speak from."""
        try:
            interfaces = list(_interfaces(self._sync[0]))[:INTERFACES_LIMIT]
        except OSError as error:  # too many open files, or no memory for the answer
            log.warning("this box's networks are not known", extra={"error": error})
            return []
        networks = {(_family(each.host), each.number) for each in interfaces}
        self._joined &= networks  # one that comes back is joined again
        for family, number in networks - self._joined:
            if family not in self._sockets:
                continue
            try:
                _join(self._sockets[family].socket, family, number)
            except OSError as error:
                # It has no multicast, or has gone in between.
                log.debug("no beacons are heard on", extra={"network": number, "error": error})
            else:
                self._joined.add((family, number))
        return interfaces

    def send(self, seal: Callable[[Address], bytes]) -> tuple[int, int]:
        """Send a beacon from each address; `seal` makes the one that names it.

        Returns:
            How many were sent, and their bytes.
        """
        sent = octets = 0
        for interface in self.look():
            host = interface.host.partition("%")[0]
            beacon = seal(Address(host, self._sync[1]))
            try:
                _send_from(interface, beacon)
            except OSError as error:
                log.debug("beacon not sent", extra={"host": interface.host, "error": error})
            else:
                sent, octets = sent + 1, octets + len(beacon)
        return sent, octets

    def close(self) -> None:
        """Close the sockets."""
        for udp in self._sockets.values():
            udp.close()


def _interfaces(bound: str) -> Iterator[Interface]:
    """The addresses that others on a link can reach a socket at that is bound so."""
    wildcard = bound in {_IPV4_WILDCARD, _IPV6_WILDCARD}
    for adapter in ifaddr.get_adapters():
        index = adapter.index
        if index is None:
            continue
        for ip in adapter.ips:
            host = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            found = ipaddress.ip_address(host)
            if found.is_loopback:
                continue
            if not wildcard:
                if found == ipaddress.ip_address(bound.partition("%")[0]):
                    yield Interface(host, index)
                continue
            if found.version == 6 and bound == _IPV4_WILDCARD:
                continue
            # Of IPv6 the address of the link is enough: each interface has one.
            if found.version == 4 or found.is_link_local:
                zone = f"%{adapter.name}" if found.version == 6 else ""
                yield Interface(host + zone, index)


def _family(host: str) -> int:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _bound(family: int, group: str) -> socket.socket:
    udp = socket.socket(family, socket.SOCK_DGRAM)
    try:
        # Several nodes on one box, as in a trial, all hear the beacons.
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        udp.setblocking(False)
        if family == socket.AF_INET6:
            # A group of the link cannot be bound for all links at once.
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            group = _IPV6_WILDCARD
        udp.bind((group, DISCOVERY_PORT))
    except OSError:
        udp.close()
        raise
    return udp


def _join(udp: socket.socket, family: int, number: int) -> None:
    if family == socket.AF_INET6:
        request = socket.inet_pton(family, GROUP_V6) + struct.pack("@I", number)
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
    else:
        request = socket.inet_aton(GROUP_V4) + bytes(4) + struct.pack("@i", number)
        udp.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)


def _send_from(interface: Interface, beacon: bytes) -> None:
    host, number = interface
    host = host.partition("%")[0]
    if ":" in host:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp:
            udp.bind((host, 0, 0, number if ipaddress.ip_address(host).is_link_local else 0))
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, number)
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
            udp.sendto(beacon, (GROUP_V6, DISCOVERY_PORT))
    else:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.bind((host, 0))
            by = socket.inet_aton(GROUP_V4) + socket.inet_aton(host) + struct.pack("@i", number)
            udp.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, by)
            udp.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
            udp.sendto(beacon, (GROUP_V4, DISCOVERY_PORT))
