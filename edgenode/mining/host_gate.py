"""How often one address may connect: who is dropped must not simply come back at once."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

from edgenode.mining.token_bucket import TokenBucket

HOSTS_REMEMBERED = 256
"""Addresses that are remembered, those that came last; a ward's network has fewer."""

VISITS = 32
"""Connections at once: a PC with a miner for each of its cores, started and stopped again."""

VISIT_EVERY_MS = 2000
"""One more connection is allowed each time this passes. Stock miners wait for 10 to 30 s before
they come back."""

BLAME_VISITS = 8
"""Connections that being dropped for a fault costs: four in a row, and the address waits."""

_IPV6_HOST_BITS = 64
"""Of an IPv6 address a host chooses so many itself, and another as often as it likes."""


def network_of(host: str) -> str:
    """Whom an address counts for: itself, or on IPv6 its network of 64 bits."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host  # a peer that went before it was accepted has no address
    if address.version == 4:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_address(int(address) >> _IPV6_HOST_BITS << _IPV6_HOST_BITS))


class HostGate:
    """Counts the connections of each address."""

    def __init__(self) -> None:
        """Know nobody."""
        self._hosts: OrderedDict[str, TokenBucket] = OrderedDict()

    def admit(self, host: str, now: int) -> bool:
        """Whether this address may connect at `now` (milliseconds)."""
        return self._bucket(host, now).take(now)

    def blame(self, host: str, now: int) -> None:
        """A connection of this address was dropped for what it did."""
        self._bucket(host, now).spend(now, BLAME_VISITS)

    def _bucket(self, host: str, now: int) -> TokenBucket:
        bucket = self._hosts.pop(host, None) or TokenBucket(VISITS, VISIT_EVERY_MS, now)
        self._hosts[host] = bucket
        if len(self._hosts) > HOSTS_REMEMBERED:
            self._hosts.popitem(last=False)
        return bucket
