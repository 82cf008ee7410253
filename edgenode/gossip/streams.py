"""Streams between a gateway and its boxes: RFCOMM over Bluetooth, TCP, and Unix sockets.

They are written "rfcomm:B8:27:EB:00:00:01", "tcp:192.0.2.1:7073" and "unix:/run/gateway.sock". A
gateway listens on "rfcomm:*" for any adapter of its own, or names one.

PyBluez makes the Bluetooth sockets (RFCOMM of BlueZ: Bluetooth RFCOMM with TS 07.10); asyncio
carries their bytes like those of any other stream.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RFCOMM_CHANNEL = 17
"""Of the thirty that there are: a fixed one needs no service record, and no daemon to keep it."""

BACKLOG = 8

_BLUETOOTH_ADDRESS = re.compile(r"[0-9A-F]{2}(:[0-9A-F]{2}){5}")

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stream leads: `kind` is "rfcomm", "tcp" or "unix"."""

    kind: str
    host: str
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Place:
        """Inverse of `str`.

        Raises:
            ValueError: It is no such place; the text says what would be.
        """
        kind, _, rest = text.partition(":")
        if kind == "rfcomm" and (rest == "*" or _BLUETOOTH_ADDRESS.fullmatch(rest.upper())):
            return cls(kind, rest.upper(), RFCOMM_CHANNEL)
        if kind == "tcp":
            host, _, port = rest.rpartition(":")
            host = host.removeprefix("[").removesuffix("]")
            if host and port.isascii() and port.isdigit() and 1 <= int(port) <= 65535:
                return cls(kind, host, int(port))
        if kind == "unix" and rest:
            return cls(kind, rest)
        raise ValueError(
            f"{text!r} is neither rfcomm:AA:BB:CC:DD:EE:FF nor tcp:HOST:PORT nor unix:PATH"
        )

    def __str__(self) -> str:
        """As the configuration has it."""
        if self.kind != "tcp":
            return f"{self.kind}:{self.host}"
        return (
            f"tcp:[{self.host}]:{self.port}" if ":" in self.host else f"tcp:{self.host}:{self.port}"
        )


async def connect(place: Place) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a stream to a gateway.

    Raises:
        OSError: It cannot be opened.
    """
    if place.kind == "unix":
        return await asyncio.open_unix_connection(place.host)
    if place.kind == "tcp":
        return await asyncio.open_connection(place.host, place.port)
    # In a thread, and not by a socket that does not block: PyBluez' own does not know them so.
    loop = asyncio.get_running_loop()
    return await asyncio.open_connection(sock=await loop.run_in_executor(None, _rfcomm_to, place))


async def listen(place: Place, serve: Serve) -> Callable[[], None]:
    """Have `serve` called with each stream that is opened to this place; returns how to stop.

    Raises:
        OSError: Nobody can listen there.
    """
    if place.kind == "unix":
        _make_room(Path(place.host))
        server = await asyncio.start_unix_server(serve, place.host, backlog=BACKLOG)
        return server.close
    if place.kind == "tcp":
        server = await asyncio.start_server(serve, place.host, place.port, backlog=BACKLOG)
        return server.close
    listening = _rfcomm_at(place)
    task = asyncio.get_running_loop().create_task(_accept(listening, serve))

    def stop() -> None:
        task.cancel()
        listening.close()

    return stop


def _make_room(path: Path) -> None:
    """Remove the socket of a process that was killed; anything else is in the way for good."""
    if path.is_socket():
        path.unlink()


async def _accept(listening: socket.socket, serve: Serve) -> None:
    loop = asyncio.get_running_loop()
    serving: set[asyncio.Task[None]] = set()
    try:
        while True:
            taken, _ = await loop.sock_accept(listening)
            reader, writer = await asyncio.open_connection(sock=taken)
            task = loop.create_task(serve(reader, writer))
            serving.add(task)
            task.add_done_callback(serving.discard)
    finally:
        for task in serving:
            task.cancel()


def _bluetooth() -> Any:  # noqa: ANN401  (PyBluez has no types)
    try:
        import bluetooth  # noqa: PLC0415  (Debian's python3-bluez: not on every machine)
    except ImportError as error:
        raise OSError(f"no Bluetooth here: {error}; install python3-bluez (PyBluez)") from error
    return bluetooth


def _rfcomm_to(place: Place) -> socket.socket:
    bluetooth = _bluetooth()
    made = bluetooth.BluetoothSocket(bluetooth.RFCOMM)
    try:
        made.connect((place.host, place.port))
        return _own(made)
    finally:
        made.close()


def _rfcomm_at(place: Place) -> socket.socket:
    bluetooth = _bluetooth()
    made = bluetooth.BluetoothSocket(bluetooth.RFCOMM)
    try:
        made.bind(("" if place.host == "*" else place.host, place.port))
        made.listen(BACKLOG)
        return _own(made)
    finally:
        made.close()


def _own(made: Any) -> socket.socket:  # noqa: ANN401
    """A socket of PyBluez as one of Python's, which asyncio takes."""
    plain = socket.socket(fileno=os.dup(made.fileno()))
    plain.setblocking(False)
    return plain
