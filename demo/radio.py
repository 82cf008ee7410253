"""The air between the boxes and their sensors: virtual Bluetooth controllers on one virtual link.

    python -m demo.radio --recordings var/recordings.npz \
        --box "people=1,2" --box "people=3,4" --speed 8

Each box gets a controller of its own, offered to its collector as an HCI transport on a TCP port
of this machine, and beside it a wearable (`demo.wearable`) on a controller in this process. All
controllers share one link, so that each box hears the advertisements of all wearables, as in a
ward, and picks its own by the allow-list. When everything is ready one JSON line is printed:

    {"boxes": [{"adapter": "bumble:tcp-client:127.0.0.1:40001",
                "sensors": ["F0:0E:00:00:00:01"]}, ...]}

With --once another line, {"played": true}, says that all wearables have played to their end.
SIGTERM or SIGINT ends it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bumble import hci, ll
from bumble.controller import Controller
from bumble.core import PhysicalTransport
from bumble.link import LocalLink
from bumble.transport.common import PacketParser

from datasets.recordings import PEOPLE, RecordingsError, load
from datasets.replay import in_turns
from demo.wearable import Wearable

_log = logging.getLogger(__name__)

# What a controller with the data length extension takes in one packet; with Bumble's 27 bytes a
# notification would cross HCI in ten pieces.
_ACL_BYTES = 251
# A collector that reads nothing for this long a backlog (minutes of samples) is gone for the
# radio, as a peer beyond its supervision timeout is.
_MAX_BACKLOG = 1 << 20
# Boxes have public addresses, wearables random static ones (their two highest bits are set).
_BOX_ADDRESS = "00:0E:00:00:00:{:02X}"
_WEARABLE_ADDRESS = "F0:0E:00:00:00:{:02X}"
_MAX_BOXES = 255


class Link(LocalLink):  # type: ignore[misc]
    """A link on which the source of data is the address that the connection was made with.

    Bumble 0.0.236 takes the sender's random address instead; BlueZ scans with a random address
    and connects with its public one, and would never see an answer.
    """

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: PhysicalTransport,
        data: bytes,
    ) -> None:
        """Deliver data to the controller that is connected to the sender's address."""
        connection = sender_controller.le_connections.get(destination_address)
        destination = self.find_le_controller(destination_address)
        if connection is None or destination is None:
            _log.debug("data to %s, which is not connected, is lost", destination_address)
            return
        source = connection.self_address
        loop = asyncio.get_running_loop()
        loop.call_soon(destination.on_link_acl_data, source, transport, data)


class RadioController(Controller):  # type: ignore[misc]
    """A controller that can be reset and whose attempts to connect can be taken back.

    Bumble 0.0.236 acknowledges both commands and does nothing.
    """

    le_acl_data_packet_length = _ACL_BYTES
    # Bumble's completes a connection with the event of controllers that have neither of these.
    # Where one is declared, Linux waits for the other event: 4 s at each connection; then it takes
    # back what is connected long since, and cannot disconnect it any more.
    le_features = Controller.le_features & ~(
        hci.LeFeatureMask.LL_PRIVACY | hci.LeFeatureMask.LE_EXTENDED_ADVERTISING
    )

    def power_off(self, reason: int = hci.HCI_CONNECTION_TIMEOUT_ERROR) -> None:
        """End all connections (the peers see `reason`), scanning, advertising and connecting."""
        for connection in list(self.le_connections.values()):
            with contextlib.suppress(ValueError):  # the peer may be gone as well
                connection.send_ll_control_pdu(ll.TerminateInd(reason))
        self.le_connections.clear()
        self.pending_le_connection = None
        self.le_scan_enable = False
        self.le_legacy_advertiser.stop()
        for advertising_set in self.advertising_sets.values():
            advertising_set.stop()
        self.advertising_sets.clear()

    def on_hci_reset_command(self, command: hci.HCI_Reset_Command) -> object:
        """Core specification 5.4, Vol 4, Part E, section 7.3.2."""
        self.power_off()
        return super().on_hci_reset_command(command)

    def on_hci_le_create_connection_cancel_command(
        self, command: hci.HCI_LE_Create_Connection_Cancel_Command
    ) -> object:
        """Core specification 5.4, Vol 4, Part E, section 7.8.13."""
        if (pending := self.pending_le_connection) is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        self.pending_le_connection = None
        event = hci.HCI_LE_Connection_Complete_Event(
            status=hci.HCI_UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
            connection_handle=0,
            role=hci.Role.CENTRAL,
            peer_address_type=pending.peer_address.address_type,
            peer_address=pending.peer_address,
            connection_interval=0,
            peripheral_latency=0,
            supervision_timeout=0,
            central_clock_accuracy=0,
        )
        self.send_hci_packet(event)
        return super().on_hci_le_create_connection_cancel_command(command)


class HciServer(asyncio.Protocol):
    """One client's connection to a controller: HCI packets with H4 types over TCP.

    The newest client has the controller. A client that ends, however it ends, leaves it reset:
    nothing of a killed collector is left for its successor.
    """

    def __init__(self, controller: RadioController, serving: list[HciServer]) -> None:
        self._controller = controller
        self._serving = serving
        self._parser = PacketParser(controller)
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the controller over."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        for other in self._serving:
            other.leave()
        self._serving[:] = [self]
        self._controller.host = self

    def data_received(self, data: bytes) -> None:
        """HCI packets from the client."""
        if self._serving == [self]:
            self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        _log.debug("HCI client gone: %s", exc)
        self.leave()

    def on_packet(self, packet: bytes) -> None:
        """An HCI packet from the controller."""
        if self._transport is None:
            return
        self._transport.write(packet)
        if self._transport.get_write_buffer_size() > _MAX_BACKLOG:
            _log.warning("an HCI client reads nothing: its controller is reset")
            self.leave()

    def leave(self) -> None:
        """End this client's use of the controller."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
        if self._serving == [self]:
            self._serving.clear()
            self._controller.host = None
            self._controller.power_off()


@dataclass(frozen=True, slots=True)
class Box:
    """What the command line says about one box.

    Attributes:
        people: Whose recordings its wearable replays, each 1..10.
        port: TCP port of its controller; 0 for any.
    """

    people: tuple[int, ...]
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Box:
        """Read "people=1,2" or "people=1,2 port=6402".

        Raises:
            ValueError: It is neither; the text says why.
        """
        people: tuple[int, ...] = ()
        port = 0
        for part in text.split():
            key, _, value = part.partition("=")
            if key == "people":
                people = tuple(int(person) for person in value.split(","))
            elif key == "port":
                port = int(value)
            else:
                raise ValueError(f"{part!r} is neither people=... nor port=...")
        if not people or not all(1 <= person <= PEOPLE for person in people):
            raise ValueError(f"people must be numbers in 1..{PEOPLE}, such as people=1,2")
        return cls(people, port)


class Radio:
    """The link and everything on it."""

    def __init__(self) -> None:
        self.link = Link()
        self._servers: list[asyncio.Server] = []

    def controller(self, name: str, address: str) -> RadioController:
        """A new controller on the link."""
        return RadioController(name, link=self.link, public_address=address)

    async def serve(self, controller: RadioController, port: int = 0) -> int:
        """Offer a controller on a TCP port of this machine; the port."""
        serving: list[HciServer] = []
        server = await asyncio.get_running_loop().create_server(
            lambda: HciServer(controller, serving), "127.0.0.1", port
        )
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Stop offering controllers."""
        for server in self._servers:
            server.close()


Offer = Callable[[Radio, int], Awaitable[dict[str, str]]]
"""Offers the controller of a box, numbered from 1, and says where it is."""


def wearable_address(box: int) -> str:
    """Address of the wearable of a box, from 1 on."""
    return _WEARABLE_ADDRESS.format(box)


async def on_air(
    wearers: Sequence[tuple[int, ...]], offer: Offer, recordings: Path, speed: float, *, loop: bool
) -> None:
    """Play wearables and offer controllers until SIGTERM or SIGINT.

    Args:
        wearers: For each box, whose recordings its wearable replays; none for one without.
        offer: Called once for each box.
        recordings: What is replayed.
        speed: Times life.
        loop: Whether wearables begin again at the end.

    Raises:
        RecordingsError: There are no usable recordings.
        OSError: A controller cannot be offered.
    """
    everything = load(recordings)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    radio = Radio()
    ready = []
    async with asyncio.TaskGroup() as tasks:
        playing = []
        for n, people in enumerate(wearers, 1):
            sensors = [wearable_address(n)] if people else []
            for address in sensors:
                wearable = Wearable(in_turns(everything, people), address, speed=speed, loop=loop)
                # A wearable's controller has no public address that anybody would see.
                await wearable.power_on(radio.controller(f"wearable {n}", "00:00:00:00:00:00"))
                playing.append(tasks.create_task(wearable.play()))
            ready.append({**await offer(radio, n), "sensors": sensors})
        _say({"boxes": ready})
        telling = tasks.create_task(_tell_end(playing))
        await stop.wait()
        for task in [telling, *playing]:
            task.cancel()
    radio.close()


async def _tell_end(playing: list[asyncio.Task[None]]) -> None:
    await asyncio.gather(*playing)
    _say({"played": True})


def _say(document: object) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


async def run(boxes: Sequence[Box], recordings: Path, speed: float, *, loop: bool) -> None:
    """Run the radio, with controllers on TCP ports, until SIGTERM or SIGINT; see `on_air`."""

    async def offer(radio: Radio, n: int) -> dict[str, str]:
        controller = radio.controller(f"box {n}", _BOX_ADDRESS.format(n))
        port = await radio.serve(controller, boxes[n - 1].port)
        return {"adapter": f"bumble:tcp-client:127.0.0.1:{port}"}

    await on_air([box.people for box in boxes], offer, recordings, speed, loop=loop)


def run_command(
    arguments: Sequence[str] | None,
    prog: str,
    run: Callable[..., Coroutine[Any, Any, None]],
    *,
    parse: Callable[[str], object],
    example: str,
    most: int,
) -> int:
    """Read the command line of a radio and run it; returns the exit status.

    Args:
        arguments: Those of the command line; None for the process' own.
        prog: The program's name.
        run: Takes boxes, recordings, speed and loop, as `run` does.
        parse: Reads one --box.
        example: What --box looks like.
        most: Boxes at the same time.
    """
    parser = argparse.ArgumentParser(prog=prog, description="Run the radio of some boxes.")
    parser.add_argument("--recordings", type=Path, required=True, help="recordings.npz")
    parser.add_argument(
        "--box",
        type=parse,
        action="append",
        required=True,
        help=f"{example}; once for each box",
    )
    parser.add_argument("--speed", type=float, default=1.0, help="times life (default 1)")
    parser.add_argument("--once", action="store_true", help="do not begin again at the end")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    if len(options.box) > most:
        parser.error(f"more than {most} boxes")
    try:
        asyncio.run(run(options.box, options.recordings, options.speed, loop=not options.once))
    except (RecordingsError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the radio of a ward; returns the exit status."""
    example = '"people=1,2" or "people=1,2 port=6402"'
    return run_command(
        arguments, "python -m demo.radio", run, parse=Box.parse, example=example, most=_MAX_BOXES
    )


if __name__ == "__main__":
    sys.exit(main())
