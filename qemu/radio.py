"""The air around guests: a Bluetooth controller for each on its serial port, and wearables.

    python -m qemu.radio --recordings var/recordings.npz \
        --box "people=1,2 socket=/path/radio.sock" --box "people=3,4 socket=..." --speed 8

The controllers are outside the guests, as a Pi's is outside its processor: QEMU's `pci-serial`
connects to the Unix socket, and the guest's own kernel and BlueZ drive what is behind it, after

    btattach -B /dev/ttyS0 -P h4

All are on one link, so that each box hears all wearables (see `demo.radio`). When everything is
ready one JSON line is printed:

    {"boxes": [{"socket": "/path/radio.sock", "sensors": ["F0:0E:00:00:00:01"]}, ...]}

With --once another line, {"played": true}, says that all wearables have played to their end.
SIGTERM or SIGINT ends it. It may end and start again while guests run: QEMU connects anew.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets.recordings import PEOPLE, RecordingsError, load
from datasets.replay import in_turns
from demo.radio import HciServer, Radio
from demo.wearable import Wearable
from qemu import sockets

TTY = "/dev/ttyS0"
"""What a guest calls its radio's serial port."""

MOST_BOXES = 99

# Boxes have public addresses, wearables random static ones (their two highest bits are set).
_BOX_ADDRESS = "00:0E:00:00:01:{:02X}"
_WEARABLE_ADDRESS = "F0:0E:00:00:00:{:02X}"


@dataclass(frozen=True, slots=True)
class Place:
    """A box and who is near it.

    Attributes:
        people: Whose recordings its wearable replays, each 1..10; none for a box without wearable.
        socket: Where its machine finds the controller.
    """

    people: tuple[int, ...]
    socket: Path

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read "people=1,2 socket=/path/radio.sock".

        Raises:
            ValueError: It is not like that; the text says why.
        """
        before, key, path = text.partition("socket=")
        people = before.strip().removeprefix("people=")
        if not key or not path or before.strip() == people != "":
            raise ValueError(f"{text!r} is not like people=1,2 socket=/path/radio.sock")
        numbers = tuple(int(person) for person in people.split(",")) if people else ()
        if not all(1 <= number <= PEOPLE for number in numbers):
            raise ValueError(f"people must be numbers in 1..{PEOPLE}, such as people=1,2")
        return cls(numbers, Path(path))

    def __str__(self) -> str:
        """What `parse` reads."""
        people = f"people={','.join(map(str, self.people))} " if self.people else ""
        return f"{people}socket={self.socket}"


def wearable_address(box: int) -> str:
    """Address of the wearable of a box, from 1 on."""
    return _WEARABLE_ADDRESS.format(box)


async def run(places: Sequence[Place], recordings: Path, speed: float, *, loop: bool) -> None:
    """Run the radio until SIGTERM or SIGINT.

    Raises:
        RecordingsError: There are no usable recordings.
        OSError: A socket cannot be made.
    """
    everything = load(recordings)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    radio = Radio()
    ready = []
    async with asyncio.TaskGroup() as tasks:
        playing = []
        for n, place in enumerate(places, 1):
            if place.people:
                series = in_turns(everything, place.people)
                wearable = Wearable(series, wearable_address(n), speed=speed, loop=loop)
                # A wearable's controller has no public address that anybody would see.
                await wearable.power_on(radio.controller(f"wearable {n}", "00:00:00:00:00:00"))
                playing.append(tasks.create_task(wearable.play()))
            await _serve(radio, n, place.socket)
            sensors = [wearable_address(n)] if place.people else []
            ready.append({"socket": str(place.socket), "sensors": sensors})
        _say({"boxes": ready})
        telling = tasks.create_task(_tell_end(playing))
        await stop.wait()
        for task in [telling, *playing]:
            task.cancel()


async def _serve(radio: Radio, box: int, path: Path) -> None:
    """Offer a box's controller. A machine that is switched off leaves it reset."""
    controller = radio.controller(f"box {box}", _BOX_ADDRESS.format(box))
    serving: list[HciServer] = []
    await asyncio.get_running_loop().create_unix_server(
        lambda: HciServer(controller, serving), sock=sockets.listen(path)
    )


async def _tell_end(playing: list[asyncio.Task[None]]) -> None:
    await asyncio.gather(*playing)
    _say({"played": True})


def _say(document: object) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the radio of some guests; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m qemu.radio", description=main.__doc__)
    parser.add_argument("--recordings", type=Path, required=True, help="recordings.npz")
    parser.add_argument(
        "--box",
        type=Place.parse,
        action="append",
        required=True,
        help='"people=1,2 socket=/path/radio.sock"; once for each box',
    )
    parser.add_argument("--speed", type=float, default=1.0, help="times life (default 1)")
    parser.add_argument("--once", action="store_true", help="do not begin again at the end")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    if len(options.box) > MOST_BOXES:
        parser.error(f"more than {MOST_BOXES} boxes")
    try:
        asyncio.run(run(options.box, options.recordings, options.speed, loop=not options.once))
    except (RecordingsError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
