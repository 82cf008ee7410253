"""A UDP socket on the event loop, read and written in batches.

asyncio's own transport reads one datagram each time the loop comes round; where thousands come, the
way around costs more than the datagram.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from edgenode.protocol.wire import Address

log = logging.getLogger(__name__)

RECEIVE_BUFFER_BYTES = 1 << 20
"""Asked of the kernel for each socket: some hundred chunks while the node is busy."""

BATCH = 64
"""Datagrams read before others have their turn."""

LONGEST_DATAGRAM = 65_535

QUEUE_BYTES = 1 << 20
"""Bytes that may wait for the socket; more are dropped, as a full queue on the way would do it."""

_MAPPED = "::ffff:"

Datagrams = list[tuple[bytes, Address]]


class UdpSocket:
    """One bound socket. What comes is handed over batch by batch, what cannot go at once waits."""

    def __init__(
        self, name: str, bound_socket: socket.socket, received: Callable[[Datagrams], None]
    ) -> None:
        """Read from a bound socket, which does not block, and own it; `name` is for the log."""
        self._name = name
        self._received = received
        self._speaks_ipv6 = bound_socket.family == socket.AF_INET6
        self.socket = bound_socket
        self._queue: deque[tuple[bytes, tuple[str, int]]] = deque()
        self._queued = 0
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.socket, self._read)

    def send(self, data: bytes, to: Address) -> None:
        """Send a datagram; it may be dropped, as it may on its way."""
        host, port = to
        if ":" in host and not self._speaks_ipv6:
            return  # an IPv4 socket does not reach IPv6 addresses that others speak of
        if self._speaks_ipv6 and ":" not in host:
            host = _MAPPED + host
        if self._queue:
            self._wait(data, (host, port))
        elif not self._sent(data, (host, port)):
            self._wait(data, (host, port))
            self._loop.add_writer(self.socket, self._write)

    def close(self) -> None:
        """Close it; what waits is dropped."""
        self._loop.remove_reader(self.socket)
        self._loop.remove_writer(self.socket)
        self.socket.close()

    def _read(self) -> None:
        batch: Datagrams = []
        for _ in range(BATCH):
            try:
                data, address = self.socket.recvfrom(LONGEST_DATAGRAM)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                # An ICMP answer to something sent earlier: that peer's silence says the same.
                log.debug("socket error", extra={"socket": self._name, "error": error})
                continue
            batch.append((data, address_of(address)))
        if batch:
            self._received(batch)

    def _sent(self, data: bytes, to: tuple[str, int]) -> bool:
        """Whether the kernel took the datagram, or never will."""
        try:
            self.socket.sendto(data, to)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            log.debug("socket error", extra={"socket": self._name, "error": error})
        return True

    def _wait(self, data: bytes, to: tuple[str, int]) -> None:
        if self._queued < QUEUE_BYTES:
            self._queue.append((data, to))
            self._queued += len(data)

    def _write(self) -> None:
        while self._queue:
            data, to = self._queue[0]
            if not self._sent(data, to):
                return
            self._queue.popleft()
            self._queued -= len(data)
        self._loop.remove_writer(self.socket)


def address_of(found: tuple[Any, ...]) -> Address:
    """An address as Python's sockets give it, as nodes call it."""
    host, port, *more = found
    if more and more[1]:
        host = f"{host}%{_network(more[1])}"  # of the link, and there may be several
    # An IPv6 socket sees IPv4 senders as mapped addresses; a node has one name, not two.
    return Address(host.removeprefix(_MAPPED), port)


@lru_cache(maxsize=64)
def _network(number: int) -> str:
    """The name of a network interface, or its number when it has just gone."""
    try:
        return socket.if_indextoname(number)
    except OSError:
        return str(number)


def bound(key: str, address: tuple[str, int]) -> socket.socket:
    """A socket bound to an address; `key` is that of the address in the configuration.

    Raises:
        OSError: it cannot be bound; the text is for people, and names the key.
    """
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    udp = socket.socket(family, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    if family == socket.AF_INET6:
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # "::" hears IPv4 as well
    udp.setblocking(False)
    try:
        udp.bind(address)
    except OSError as error:
        udp.close()
        reason = (
            "another process uses this port; name another one in the configuration"
            if error.errno == errno.EADDRINUSE
            else error.strerror
        )
        # Without the number: the text is for people.
        raise OSError(f'[gossip] {key} = "{Address(host, port)}": {reason}') from None
    return udp
