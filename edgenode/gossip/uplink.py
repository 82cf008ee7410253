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
from edgenode.gossip.udp import Datagrams
from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.keys import MemberKey
from edgenode.protocol.gateway_door import Door
from edgenode.protocol.gateway_wire import (
    GATEWAY_VERSION,
    NONCE_BYTES,
    Carried,
    Frame,
    Frames,
    Hello,
    Ping,
    Refused,
    Welcome,
    encode_frame,
)
from edgenode.protocol.wire import DATAGRAM_LIMIT, Address, Socket

log = logging.getLogger(__name__)

READ_BYTES = 16 * 1024
LINK_QUEUE_BYTES = 32 * 1024
"""Bytes that may wait for a link: a quarter of a second of a good Bluetooth link. More are dropped,
so that who sends too fast learns of it."""

PING_INTERVAL = 10.0
SILENCE = 35.0
"""Seconds without a frame after which a link is taken to be gone: three pings were lost, which a
link does not do that stands."""

ENTRY_TIME = 15.0
"""Seconds that the two have for letting in, and a radio for connecting."""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
"""Seconds between two attempts to reach the gateway; doubled each time, and never quite the same,
for several boxes may have lost it in one moment."""


class LinkError(Exception):
    """A link is of no use; the text says why."""


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
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None

    def socket(self, kind: Socket) -> UplinkSocket:
        """One of the box's sockets."""
        return UplinkSocket(self, kind)

    @property
    def stands(self) -> bool:
        """Whether the gateway has let the box in."""
        return self._writer is not None

    def start(self) -> None:
        """Begin to seek the gateway."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def close(self) -> None:
        """End the link; what waits for it is sent as far as it goes at once."""
        if self._task is not None:
            self._task.cancel()

    def send(self, frame: Frame) -> None:
        """Send a frame if there is a link with room."""
        writer = self._writer
        if writer is None or writer.transport.get_write_buffer_size() > LINK_QUEUE_BYTES:
            return
        writer.write(encode_frame(frame))

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        said = None
        while True:
            try:
                async with opened(self._place) as (frames, writer):
                    async with asyncio.timeout(ENTRY_TIME):
                        mapped = await self._enter(frames, writer)
                    log.info(
                        "linked to the gateway",
                        extra={"gateway": self._place, "sync": mapped.sync},
                    )
                    self._writer, pause, said = writer, FIRST_PAUSE, None
                    self._mapped(mapped)
                    await self._carry(frames)
            except (OSError, LinkError, MalformedError, TimeoutError) as error:
                reason = str(error) or "no answer"
                if reason != said:
                    log.warning(
                        "no link to the gateway", extra={"gateway": self._place, "error": reason}
                    )
                said = reason
            finally:
                self._writer = None
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  (no secret)
            pause = min(LONGEST_PAUSE, 2 * pause)

    async def _enter(self, frames: FrameStream, writer: asyncio.StreamWriter) -> Mapped:
        hello = await frames.next()
        if not isinstance(hello, Hello):
            raise LinkError("it is no gateway")
        if hello.version != GATEWAY_VERSION:
            raise LinkError(f"the gateway speaks version {hello.version}, not {GATEWAY_VERSION}")
        entry = self._door.enter(hello, self._key, secrets.token_bytes(NONCE_BYTES))
        writer.write(encode_frame(entry))
        answer = await frames.next()
        if isinstance(answer, Refused):
            raise LinkError(f"the gateway refused: {answer.reason.name.lower().replace('_', ' ')}")
        if not isinstance(answer, Welcome) or not self._door.believes(hello, entry, answer):
            raise LinkError("the gateway does not hold the ward's key")
        return Mapped(answer.sync, answer.broadcast, answer.nodes)

    async def _carry(self, frames: FrameStream) -> None:
        ping = asyncio.get_running_loop().create_task(self._ping())
        try:
            while True:
                async with asyncio.timeout(SILENCE):
                    batch = await frames.batch()
                for kind in (Socket.SYNC, Socket.BROADCAST):
                    found = [f for f in batch if isinstance(f, Carried) and f.socket is kind]
                    if found:
                        self._received(kind, [(f.data, f.address) for f in found])
        finally:
            ping.cancel()

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_INTERVAL)
            self.send(Ping())


class FrameStream:
    """The frames that come by a link."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        """Read from a stream."""
        self._reader = reader
        self._frames = Frames()
        self._waiting: list[Frame] = []

    async def batch(self) -> list[Frame]:
        """The next frames, at least one.

        Raises:
            LinkError: the other side has ended the link.
            MalformedError: it sends what is no frame.
        """
        while not self._waiting:
            data = await self._reader.read(READ_BYTES)
            if not data:
                raise LinkError("the link has ended")
            self._waiting = list(self._frames.feed(data))
        found, self._waiting = self._waiting, []
        return found

    async def next(self) -> Frame:
        """The next frame; raises as `batch`."""
        first, *self._waiting = await self.batch()
        return first


@contextlib.asynccontextmanager
async def opened(
    place: streams.Place,
) -> AsyncIterator[tuple[FrameStream, asyncio.StreamWriter]]:
    """A stream to a gateway, closed in the end; raises OSError where there is none."""
    reader, writer = await streams.connect(place)
    try:
        yield FrameStream(reader), writer
    finally:
        writer.close()
