"""`python -m qemu ward`: boxes that find each other, train, mine and agree."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Mapping
from typing import Any

from qemu import founding, register, ward_view
from qemu.box import Box
from qemu.command_boot import TOOLS
from qemu.errors import QemuError
from qemu.founding import with_all
from qemu.hardware import CONSOLE_LOG
from qemu.network import HOST, Bridge, Network, Switched
from qemu.progress import Stopwatch, need_image, removed, say, shown
from qemu.ssh import SSH_PORT, make_key
from qemu.tools import U_BOOT, need
from qemu.ward import Ward, WardPlan

_PAUSE = 5.0  # seconds between two looks


def ward(options: argparse.Namespace) -> int:
    """Boot a ward and show how it goes, until Ctrl-C or a block; the exit status.

    Raises:
        QemuError: It does not come up.
    """
    need(TOOLS, firmware=U_BOOT)
    need_image(options.image)
    directory = options.directory / "ward"
    if running := register.everything(directory):
        names = ", ".join(box.name for box in running.values())
        raise QemuError(f"a ward runs already ({names}); end it: python -m qemu stop")
    if not options.recordings.exists():
        say(
            f"there is no {options.recordings} (make {options.recordings}): boxes without wearables"
        )
    plan = WardPlan(
        image=options.image,
        directory=directory,
        key=make_key(options.directory / "ssh"),
        boxes=options.boxes,
        recordings=options.recordings if options.recordings.exists() else None,
        speed=options.speed,
        spacing=options.spacing,
        memory_mib=options.memory,
    )
    with removed(directory), contextlib.ExitStack() as stack:
        kind = Bridge if options.network == "bridge" else Switched
        network: Network = kind(directory / "network", internet=options.internet)
        stack.callback(network.close)
        boxes = Ward(plan, network)
        stack.callback(boxes.close)
        _start(boxes, network, options)
        return _watch(boxes, options.blocks)


def _start(ward: Ward, network: Network, options: argparse.Namespace) -> None:
    clock = Stopwatch()
    ward.start()
    for number, box in enumerate(ward.boxes, 1):
        register.enter(
            box.directory,
            register.Running(
                name=box.name,
                pid=box.machine.pid,
                ssh_port=network.router.forward(number, SSH_PORT),
                key=str(ward.plan.key.absolute()),
                image=str(ward.plan.image),
                since=time.time(),
            ),
        )
    names = ", ".join(box.name for box in ward.boxes)
    say(f"{names} boot; their consoles are in {ward.plan.directory}/*/{CONSOLE_LOG}")
    if isinstance(network, Bridge):
        say(f"programs of the host join at {HOST}, after: {' '.join(network.inside)}")
    logs = [box.directory / CONSOLE_LOG for box in ward.boxes]
    with shown(logs, wanted=options.console):
        ward.wait()
    say(f"all let us in after {clock}; they found their ward")
    ward.found()
    say("python -m qemu ssh bed-1 gives a shell in another terminal; Ctrl-C ends the ward")


def _watch(ward: Ward, blocks: int | None) -> int:
    names = [box.name for box in ward.boxes]
    before: list[str] = []
    while True:
        statuses = with_all(ward.boxes, _status)
        if (lines := ward_view.lines(names, statuses)) != before:
            sys.stdout.write("\n".join([*lines, ""]) + "\n")
            sys.stdout.flush()
            before = lines
        height = ward_view.agreed(statuses)
        if blocks is not None and height is not None and height >= blocks:
            say(f"all agree on block {height}")
            return 0
        time.sleep(_PAUSE)


def _status(box: Box) -> Mapping[str, Any] | None:
    try:
        return founding.status(box)
    except QemuError:  # a person at work on it may have it restarted
        return None
