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

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from datasets.recordings import PEOPLE
from demo.radio import HciServer, Radio, on_air, run_command
from qemu import sockets

TTY = "/dev/ttyS0"
"""What a guest calls its radio's serial port."""

MOST_BOXES = 99

_BOX_ADDRESS = "00:0E:00:00:01:{:02X}"


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


async def run(places: Sequence[Place], recordings: Path, speed: float, *, loop: bool) -> None:
    """Run the radio, with controllers on Unix sockets, until SIGTERM or SIGINT.

    Raises:
        RecordingsError: There are no usable recordings.
        OSError: A socket cannot be made.
    """

    async def offer(radio: Radio, n: int) -> dict[str, str]:
        """A machine that is switched off leaves its controller reset."""
        path = places[n - 1].socket
        controller = radio.controller(f"box {n}", _BOX_ADDRESS.format(n))
        serving: list[HciServer] = []
        await asyncio.get_running_loop().create_unix_server(
            lambda: HciServer(controller, serving), sock=sockets.listen(path)
        )
        return {"socket": str(path)}

    await on_air([place.people for place in places], offer, recordings, speed, loop=loop)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the radio of some guests; returns the exit status."""
    example = '"people=1,2 socket=/path/radio.sock"'
    return run_command(
        arguments, "python -m qemu.radio", run, parse=Place.parse, example=example, most=MOST_BOXES
    )


if __name__ == "__main__":
    sys.exit(main())
