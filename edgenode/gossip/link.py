"""One link between a gateway and a box, from either side: frames, pings, and a bounded queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edgenode.protocol.gateway_wire import Frame, Frames, Ping, encode_frame

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


class LinkError(Exception):
    """A link is of no use; the text says why."""


class Link:
    """A link, over any stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take up a stream."""
        self._reader, self._writer = reader, writer
        self._frames = Frames()
        self._waiting: list[Frame] = []

    def send(self, frame: Frame) -> bool:
        """Send a frame, if there is room; says whether."""
        if self._writer.transport.get_write_buffer_size() > LINK_QUEUE_BYTES:
            return False
        self._writer.write(encode_frame(frame))
        return True

    async def next(self) -> Frame:
        """The next frame.

        Raises:
            LinkError: the other side has ended the link.
            MalformedError: it sends what is no frame.
        """
        first, *self._waiting = await self._batch()
        return first

    async def carry(self, take: Callable[[list[Frame]], None]) -> None:
        """Hand over the frames that come, and say pings, until the link has ended.

        Raises as `next`, and TimeoutError when the other side is silent; what `take` raises ends
        the link as well.
        """
        ping = asyncio.get_running_loop().create_task(self._ping())
        try:
            while True:
                async with asyncio.timeout(SILENCE):
                    batch = await self._batch()
                take(batch)
        finally:
            ping.cancel()

    def close(self) -> None:
        """End it."""
        self._writer.close()

    async def _batch(self) -> list[Frame]:
        while not self._waiting:
            data = await self._reader.read(READ_BYTES)
            if not data:
                raise LinkError("the link has ended")
            self._waiting = list(self._frames.feed(data))
        found, self._waiting = self._waiting, []
        return found

    async def _ping(self) -> None:
        while True:
            await asyncio.sleep(PING_INTERVAL)
            self.send(Ping())
