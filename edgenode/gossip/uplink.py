"""A box without a network: its two sockets are ports of a gateway, by a link to it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from edgenode.gossip import streams
from edgenode.gossip.link import ENTRY_TIME, Link, LinkError
from edgenode.gossip.udp import Datagrams
from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.keys import MemberKey
from edgenode.protocol.gateway_door import Door
from edgenode.protocol.gateway_wire import (
    GATEWAY_VERSION,
    NONCE_BYTES,
    Carried,
    Frame,
    Hello,
    Refused,
    Welcome,
)
from edgenode.protocol.wire import DATAGRAM_LIMIT, Address, Socket

log = logging.getLogger(__name__)

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
"""Seconds between two attempts to reach the gateway; doubled each time, and never quite the same,
for several boxes may have lost it in one moment."""


@dataclass(frozen=True, slots=True)
class Mapped:
    """What the gateway gives: its ports for the box's sockets, and addresses of its own node."""

    sync: int
    broadcast: int
    nodes: tuple[Address, ...]


class UplinkSocket:
    """One of the box's two sockets."""

    def __init__(self, uplink: Uplink, kind: Socket) -> None:
        """A socket of this kind."""
        self._uplink, self._kind = uplink, kind

    def send(self, data: bytes, to: Address) -> None:
        """Send a datagram; it may be dropped, as it may on its way."""
        if len(data) <= DATAGRAM_LIMIT and "%" not in to.host:
            self._uplink.send(Carried(self._kind, to, data))

    def close(self) -> None:
        """Nothing: the uplink is closed as a whole."""


class Uplink:
    """Keeps a link to the gateway, and says when there is one."""

    def __init__(
        self,
        place: streams.Place,
        door: Door,
        key: MemberKey,
        received: Callable[[Socket, Datagrams], None],
        mapped: Callable[[Mapped], None],
    ) -> None:
        """Prepare; nothing is opened before `start`.

        Args:
            place: Where the gateway is.
            door: The ward's proofs.
            key: The member's key.
            received: Called with the datagrams that come.
            mapped: Called each time the gateway has let the box in.
        """
        self._place, self._door, self._key = place, door, key
        self._received, self._mapped = received, mapped
        self._link: Link | None = None
        self._task: asyncio.Task[None] | None = None

    def socket(self, kind: Socket) -> UplinkSocket:
        """One of the box's sockets."""
        return UplinkSocket(self, kind)

    @property
    def stands(self) -> bool:
        """Whether the gateway has let the box in."""
        return self._link is not None

    def start(self) -> None:
        """Begin to seek the gateway."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def close(self) -> None:
        """End the link; what waits for it is sent as far as it goes at once."""
        if self._task is not None:
            self._task.cancel()

    def send(self, frame: Frame) -> None:
        """Send a frame if there is a link with room."""
        if self._link is not None:
            self._link.send(frame)

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        said = None
        while True:
            try:
                async with opened(self._place) as link:
                    async with asyncio.timeout(ENTRY_TIME):
                        mapped = await self._enter(link)
                    log.info(
                        "linked to the gateway",
                        extra={"gateway": self._place, "sync": mapped.sync},
                    )
                    self._link, pause, said = link, FIRST_PAUSE, None
                    self._mapped(mapped)
                    await link.carry(self._take)
            except (OSError, LinkError, MalformedError, TimeoutError) as error:
                reason = str(error) or "no answer"
                if reason != said:
                    log.warning(
                        "no link to the gateway", extra={"gateway": self._place, "error": reason}
                    )
                said = reason
            finally:
                self._link = None
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  (no secret)
            pause = min(LONGEST_PAUSE, 2 * pause)

    async def _enter(self, link: Link) -> Mapped:
        hello = await link.next()
        if not isinstance(hello, Hello):
            raise LinkError("it is no gateway")
        if hello.version != GATEWAY_VERSION:
            raise LinkError(f"the gateway speaks version {hello.version}, not {GATEWAY_VERSION}")
        entry = self._door.enter(hello, self._key, secrets.token_bytes(NONCE_BYTES))
        link.send(entry)
        answer = await link.next()
        if isinstance(answer, Refused):
            raise LinkError(f"the gateway refused: {answer.reason.name.lower().replace('_', ' ')}")
        if not isinstance(answer, Welcome) or not self._door.believes(hello, entry, answer):
            raise LinkError("the gateway does not hold the ward's key")
        return Mapped(answer.sync, answer.broadcast, answer.nodes)

    def _take(self, batch: list[Frame]) -> None:
        for kind in (Socket.SYNC, Socket.BROADCAST):
            found = [f for f in batch if isinstance(f, Carried) and f.socket is kind]
            if found:
                self._received(kind, [(f.data, f.address) for f in found])


@contextlib.asynccontextmanager
async def opened(place: streams.Place) -> AsyncIterator[Link]:
    """A link to a gateway, closed in the end; raises OSError where there is none."""
    link = Link(*await streams.connect(place))
    try:
        yield link
    finally:
        link.close()
