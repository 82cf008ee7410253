"""A gateway: carries the datagrams of boxes without a network between their links and UDP ports."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import ifaddr

from edgenode.gossip import streams
from edgenode.gossip.link import ENTRY_TIME, Link, LinkError
from edgenode.gossip.udp import Datagrams, UdpSocket, bound
from edgenode.ledger.encoding import MalformedError
from edgenode.protocol.gateway_door import Door
from edgenode.protocol.gateway_wire import (
    GATEWAY_VERSION,
    NODES_LIMIT,
    NONCE_BYTES,
    Carried,
    Entry,
    Frame,
    Hello,
    Ping,
    Refusal,
    Refused,
)
from edgenode.protocol.mappings import Mappings
from edgenode.protocol.wire import Address, Socket

log = logging.getLogger(__name__)

BOXES_LIMIT = 7
"""Boxes behind a gateway: a Bluetooth adapter has seven links at a time (a piconet)."""

FIRST_PORT = 7080

KNOCKING_LIMIT = 8
"""Links that are not let in yet; more are ended at once, and there are others a moment later."""

TURN = 5.0
"""Seconds between two looks at this box's networks."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """The settings of a gateway.

    Attributes:
        listen: Where boxes find it.
        ports: The first of the UDP ports that stand for boxes, two for each.
        boxes: How many boxes it has at most.
    """

    listen: tuple[streams.Place, ...] = ()
    ports: int = FIRST_PORT
    boxes: int = BOXES_LIMIT

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: One of them is unusable; the text begins with its name.
        """
        if not self.listen:
            raise ValueError('listen: names no place, such as "rfcomm:*"')
        if not 1 <= self.boxes <= BOXES_LIMIT:
            raise ValueError(f"boxes: {self.boxes} is not in 1..{BOXES_LIMIT}")
        if not 1024 <= self.ports <= 65536 - 2 * self.boxes:
            raise ValueError(f"ports: {self.ports} is no first of {2 * self.boxes} ports")


class Gateway:
    """Listens for boxes, and carries."""

    def __init__(self, settings: GatewaySettings, door: Door, node: tuple[str, int] | None) -> None:
        """Prepare; nothing is opened before `run`.

        `node` is where this box's own node has its sync socket; None if it has none.
        """
        self._settings, self._door, self._node = settings, door, node
        self._host = "0.0.0.0" if node is None else node[0]  # noqa: S104
        on_loopback = self._host in ("127.0.0.1", "::1")
        self.mappings = Mappings(settings.boxes, loopback=on_loopback)
        self._sockets: dict[tuple[int, Socket], UdpSocket] = {}
        self._links: dict[int, Link] = {}
        self._knocking = 0
        self._told = self._nodes()
        self.refused = 0

    async def run(self, on_turn: Callable[[], None]) -> None:
        """Serve until cancelled; `on_turn` is called each few seconds.

        Raises:
            OSError: It cannot listen somewhere; the text names the key of the configuration.
        """
        stops: list[Callable[[], None]] = []
        try:
            self._open_ports()
            for place in self._settings.listen:
                try:
                    stops.append(await streams.listen(place, self._serve))
                except OSError as error:
                    raise OSError(f"[gateway] listen: {place}: {error}") from error
                log.info("listening for boxes", extra={"at": place})
            while True:
                on_turn()
                self._look_at_networks()
                await asyncio.sleep(TURN)
        finally:
            for stop in stops:
                stop()
            for link in self._links.values():
                link.close()
            for udp in self._sockets.values():
                udp.close()

    def values(self) -> Mapping[str, float]:
        """Numbers for the service's report."""
        mappings = self.mappings
        return {
            "boxes": mappings.linked,
            "refused_total": self.refused,
            "to_boxes_total": mappings.to_boxes,
            "from_boxes_total": mappings.from_boxes,
            **{f"dropped_{reason}_total": count for reason, count in mappings.dropped.items()},
        }

    def _open_ports(self) -> None:
        for place in range(self._settings.boxes):
            for kind in (Socket.SYNC, Socket.BROADCAST):
                received = partial(self._received, place, kind)
                address = self._host, self._port(place, kind)
                self._sockets[place, kind] = UdpSocket(
                    "gateway", bound("[gateway] ports", address), received
                )

    def _port(self, place: int, kind: Socket) -> int:
        return self._settings.ports + 2 * place + (kind is Socket.BROADCAST)

    def _nodes(self) -> tuple[Address, ...]:
        """Where this box's own node is: on a network, or at least here."""
        if self._node is None:
            return ()
        host, port = self._node
        hosts = _own_hosts() if ipaddress.ip_address(host).is_unspecified else [host]
        return tuple(Address(each, port) for each in hosts[:NODES_LIMIT])

    def _look_at_networks(self) -> None:
        """When this box's addresses change, have boxes come again and hear of the new ones."""
        nodes = self._nodes()
        if nodes != self._told:
            self._told = nodes
            for link in self._links.values():
                link.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One link, from its beginning to its end."""
        link = Link(reader, writer)
        try:
            if self._knocking >= KNOCKING_LIMIT:
                return
            self._knocking += 1
            try:
                async with asyncio.timeout(ENTRY_TIME):
                    entered = await self._let_in(link)
            finally:
                self._knocking -= 1
            if entered is not None:
                await self._carry(*entered, link)
        except (OSError, LinkError, MalformedError, TimeoutError) as error:
            log.info("a link has ended", extra={"error": str(error) or "silence"})
        finally:
            link.close()

    async def _let_in(self, link: Link) -> tuple[int, bytes] | None:
        hello = Hello(GATEWAY_VERSION, secrets.token_bytes(NONCE_BYTES))
        link.send(hello)
        entry = await link.next()
        if not isinstance(entry, Entry) or not self._door.lets_in(hello, entry):
            self._refuse(link, Refusal.NOT_OF_THE_WARD)
            return None
        place = self.mappings.come(entry.member, time.monotonic())
        if place is None:
            self._refuse(link, Refusal.FULL)
            return None
        before = self._links.pop(place, None)
        if before is not None:
            before.close()  # it lost this link, and does not know it here yet
        self._links[place] = link
        ports = self._port(place, Socket.SYNC), self._port(place, Socket.BROADCAST)
        link.send(self._door.welcome(hello, entry, ports, self._told))
        return place, entry.member

    def _refuse(self, link: Link, reason: Refusal) -> None:
        self.refused += 1
        log.warning("a box was refused", extra={"reason": reason.name.lower()})
        link.send(Refused(reason))

    async def _carry(self, place: int, member: bytes, link: Link) -> None:
        port = self._port(place, Socket.SYNC)
        log.info("a box is linked", extra={"member": member.hex(), "sync": port})
        try:
            await link.carry(partial(self._take, place))
        finally:
            if self._links.get(place) is link:
                del self._links[place]
                self.mappings.leave(place, time.monotonic())

    def _take(self, place: int, batch: list[Frame]) -> None:
        now = time.monotonic()
        for frame in batch:
            match frame:
                case Carried(kind, to, data):
                    if self.mappings.send(place, to, data, now):
                        self._sockets[place, kind].send(data, to)
                case Ping():
                    pass
                case _:
                    raise LinkError("a frame that has no place here")

    def _received(self, place: int, kind: Socket, datagrams: Datagrams) -> None:
        now = time.monotonic()
        for data, source in datagrams:
            if not self.mappings.receive(place, source, data, now):
                continue
            link = self._links.get(place)
            if link is None or "%" in source.host:
                continue
            if not link.send(Carried(kind, source, data)):
                self.mappings.overflowed()


def _own_hosts() -> list[str]:
    """This box's addresses on networks that others may be on, IPv4 first."""
    hosts = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            host = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            found = ipaddress.ip_address(host)
            if not (found.is_loopback or found.is_link_local):
                hosts.append(host)
    return sorted(hosts, key=lambda host: (":" in host, host))
