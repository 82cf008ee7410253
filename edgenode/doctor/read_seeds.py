"""Whether anything can be sent to the seeds: their names, and a route."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from edgenode.doctor.facts import Seed
from edgenode.gossip.settings import Address


def read_seeds(seeds: Sequence[Address]) -> tuple[Seed, ...]:
    """Look each one up. Nothing is sent: only a node of the ward gets an answer from another."""
    return tuple(_seed(host, port) for host, port in seeds)


def _seed(host: str, port: int) -> Seed:
    name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:  # the latter for an impossible name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return Seed(name, (), f"is not found: {reason}")
    problems = []
    for family, kind, _, _, address in found:
        # A connected UDP socket has a route; not a byte goes out.
        with socket.socket(family, kind) as udp:
            try:
                udp.connect(address)
            except OSError as error:
                problems.append(f"cannot be reached: {error.strerror}")
    hosts = tuple(dict.fromkeys(str(address[0]) for *_, address in found))
    return Seed(name, hosts, problems[0] if len(problems) == len(found) else "")
