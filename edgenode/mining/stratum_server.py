"""The TCP edge of a pool: an event loop in a thread of its own, and what comes in and goes out.

All of the pool happens in that thread. Other threads hand work over and get found blocks; they
never touch the pool themselves but through `call`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from edgenode.collector.log_limit import LogLimit
from edgenode.mining.pool import Pool
from edgenode.mining.stratum_events import BlockFound, Drop

log = logging.getLogger(__name__)

Result = TypeVar("Result")

WRITE_BUFFER_BYTES = 65536
"""What may wait for a miner that does not read: half a minute of jobs is 2 kB, answers to a full
burst of requests 40 kB. Against hosts that ask and never read, which would fill the memory."""

TICK_S = 1.0

_BACKLOG = 200
"""Connections that the kernel holds ready; as many as there can be in all."""

_CLOSE_WITHIN_S = 5.0
"""How long a connection that is ended may take to read why."""

_CALL_WITHIN_S = 10.0

# A miner whose cable was pulled says nothing more. Found in two minutes instead of never.
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)


def milliseconds() -> int:
    """The clock of a pool: monotonic milliseconds."""
    return time.monotonic_ns() // 1_000_000


class StratumServer:
    """Serves a pool on one address."""

    def __init__(
        self, pool: Pool, address: tuple[str, int], on_found: Callable[[BlockFound], None]
    ) -> None:
        """Listen, and begin to serve.

        Args:
            pool: The pool; nobody else may use it from now on.
            address: IP address and port; port 0 takes any that is free.
            on_found: Called in the server's thread for each block; it must not wait.

        Raises:
            OSError: The address cannot be listened on.
        """
        self._pool = pool
        self._on_found = on_found
        self._transports: dict[int, asyncio.Transport] = {}
        self._log_limit = LogLimit()
        self._failure: BaseException | None = None
        # The socket comes first: where it cannot be had, nothing is left open behind it.
        self._socket = socket.create_server(
            address,
            family=socket.AF_INET6 if ":" in address[0] else socket.AF_INET,
            backlog=_BACKLOG,
        )
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="stratum", daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return host, port

    def call(self, action: Callable[[Pool], Result]) -> Result:
        """Do something with the pool, in the server's thread, and wait for the result.

        Raises:
            RuntimeError: The server has ended.
            TimeoutError: It does not come round.
        """
        done: Future[Result] = Future()

        def act() -> None:
            try:
                done.set_result(action(self._pool))
            except Exception as error:  # noqa: BLE001  (whatever it is belongs to the caller)
                done.set_exception(error)
            self._flush()

        self._loop.call_soon_threadsafe(act)
        return done.result(_CALL_WITHIN_S)

    def check(self) -> None:
        """Raise what ended the server, if something did."""
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End the connections and the thread."""
        with suppress(RuntimeError):  # the loop is closed: the thread has ended already
            self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(_CALL_WITHIN_S)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as failure:  # kept for `check`, which raises it
            log.exception("the Stratum server ended")
            self._failure = failure
        finally:
            self._socket.close()
            self._loop.close()

    async def _serve(self) -> None:
        server = await self._loop.create_server(lambda: _Connection(self), sock=self._socket)
        ticking = self._loop.create_task(self._tick())
        ended = self._loop.create_task(self._ended.wait())
        done, _ = await asyncio.wait({ticking, ended}, return_when=asyncio.FIRST_COMPLETED)
        server.close()
        for transport in self._transports.values():
            transport.abort()
        ticking.cancel()
        ended.cancel()
        await asyncio.sleep(0)  # in which the sockets are closed and the tasks end
        if ticking in done:
            ticking.result()  # it never ends but by a fault, which this raises

    async def _tick(self) -> None:
        while True:
            self._pool.tick(milliseconds())
            self._flush()
            await asyncio.sleep(TICK_S)

    # What connections call

    def admit(self, host: str, transport: asyncio.Transport) -> int | None:
        """Take a connection; None where there is no place for it."""
        number = self._pool.admit(host, milliseconds())
        if isinstance(number, Drop):
            self._tell(host, number)
            transport.abort()
            return None
        self._transports[number] = transport
        return number

    def receive(self, number: int, data: bytes) -> None:
        """Bytes came in."""
        self._pool.receive(number, data, milliseconds())
        self._flush()

    def leave(self, number: int, reason: Drop | None = None) -> None:
        """A connection is gone, or must go because it does not read."""
        self._pool.leave(number, milliseconds(), reason)
        transport = self._transports.pop(number, None)
        if transport is not None and reason is not None:
            self._tell(_host_of(transport), reason)
            transport.abort()

    def _flush(self) -> None:
        output = self._pool.drain()
        for number, data in output.sent.items():
            if (transport := self._transports.get(number)) is not None:
                transport.write(data)
        for number, reason in output.ended.items():
            if (transport := self._transports.pop(number, None)) is not None:
                self._tell(_host_of(transport), reason)
                transport.close()
                self._loop.call_later(_CLOSE_WITHIN_S, transport.abort)
        for found in output.found:
            self._on_found(found)

    def _tell(self, host: str, reason: Drop) -> None:
        held_back = self._log_limit.admit(reason, time.monotonic())
        if held_back is not None:
            log.warning(
                "miner dropped", extra={"host": host, "reason": reason, "held_back": held_back}
            )


class _Connection(asyncio.Protocol):
    """One miner's TCP connection."""

    def __init__(self, server: StratumServer) -> None:
        self._server = server
        self._number: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        sock = transport.get_extra_info("socket")
        for level, option, value in _KEEPALIVE:
            sock.setsockopt(level, option, value)
        self._number = self._server.admit(_host_of(transport), transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._number is not None:
            self._server.receive(self._number, data)

    def pause_writing(self) -> None:
        """The write buffer is above its limit: this miner does not read."""
        if self._number is not None:
            self._server.leave(self._number, Drop.SLOW)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (asyncio's signature)
        """See asyncio.Protocol."""
        if self._number is not None:
            self._server.leave(self._number)


def _host_of(transport: asyncio.Transport) -> str:
    # A peer that is gone before it was accepted has no name.
    return str((transport.get_extra_info("peername") or ("unknown",))[0])
