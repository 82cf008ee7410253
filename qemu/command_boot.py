"""`python -m qemu boot`: one box, a ward of its own, and a shell on it."""

from __future__ import annotations

import argparse
import contextlib
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from demo.interruption import undisturbed
from qemu import founding, register, settings
from qemu.box import SETTINGS, Box
from qemu.errors import QemuError
from qemu.hardware import CONSOLE_LOG, QEMU, Hardware
from qemu.progress import Stopwatch, need_image, removed, say, shown
from qemu.radio import Place
from qemu.radio_process import RadioProcess
from qemu.ssh import make_key, public_key
from qemu.tools import U_BOOT, need

TOOLS = (QEMU, "qemu-img", "mcopy", "sfdisk", "ssh", "ssh-keygen", "setpriv")


def boot(options: argparse.Namespace) -> int:
    """Boot a box, show its status, and give the person a shell; the exit status.

    Raises:
        QemuError: It does not boot.
    """
    need(TOOLS, firmware=U_BOOT)
    need_image(options.image)
    directory: Path = options.directory / options.name
    if (running := register.find(directory)) is not None:
        raise QemuError(
            f"{options.name} runs already, for {running.minutes} min: python -m qemu ssh "
            f"{options.name}, or python -m qemu stop {options.name}"
        )
    key = make_key(options.directory / "ssh")
    # A radio ends with this command, so a box that is kept has none.
    with_radio = options.recordings.exists() and not options.keep
    directory.mkdir(parents=True, exist_ok=True)
    socket = directory / "radio.sock"
    box = Box(
        options.name,
        options.image,
        directory,
        key,
        hardware=Hardware(
            memory_mib=options.memory,
            internet=options.internet,
            watchdog=True,
            radio=socket if with_radio else None,
        ),
        mortal=not options.keep,
    )
    with contextlib.ExitStack() as stack:
        if not options.keep:
            stack.enter_context(removed(directory))
        stack.enter_context(_closed_unless_kept(box, kept=options.keep))
        sensors: list[str] = []
        if with_radio:
            radio = RadioProcess(
                [Place((1, 2), socket)],
                directory / "radio.log",
                recordings=options.recordings,
                speed=options.speed,
            )
            stack.callback(radio.stop)
            (sensors,) = radio.start()
        _start(box, options, key, sensors)
        if options.settings is None:
            _found(box, with_radio=with_radio)
        status = _use(box, options)
    if options.keep:
        say(f"{box.name} runs on: python -m qemu ssh {box.name}; python -m qemu stop {box.name}")
    return status


@contextlib.contextmanager
def _closed_unless_kept(box: Box, *, kept: bool) -> Iterator[None]:
    try:
        yield
    except BaseException:
        box.close()
        raise
    if not kept:
        box.close()


def _start(box: Box, options: argparse.Namespace, key: Path, sensors: list[str]) -> None:
    public = public_key(key)
    if options.settings is not None:
        text = settings.with_key(options.settings.read_text(), public)
    else:
        tables = settings.for_box(box.name, [public])
        tables |= settings.for_member([], secrets.token_bytes(32), sensors, share=0.2)
        text = settings.text(tables)
    box.write_card({SETTINGS: text})
    clock = Stopwatch()
    box.start()
    log = box.directory / CONSOLE_LOG
    register.enter(
        box.directory,
        register.Running(
            name=box.name,
            pid=box.machine.pid,
            ssh_port=box.machine.ssh_port,
            key=str(key.absolute()),
            image=str(options.image),
            since=time.time(),
        ),
    )
    say(f"{options.image} boots; its console is in {log}, and 40 s are usual on an idle machine")
    with shown([log], wanted=options.console):
        box.wait()
    say(f"{box.name} lets us in after {clock}")


def _found(box: Box, *, with_radio: bool) -> None:
    if with_radio:
        box.attach_radio()
    founding.found([box])
    say(f"{box.name} is a ward of its own, with {'a wearable' if with_radio else 'no wearable'}")


def _use(box: Box, options: argparse.Namespace) -> int:
    said = box.run("edgenode status", check=False)
    sys.stdout.write(said.stdout + said.stderr)
    sys.stdout.flush()
    if options.run is not None:
        command = box.ssh.command("--", options.run)
    elif sys.stdin.isatty():
        say("the shell's end switches the box off" if not options.keep else "")
        command = box.ssh.command(tty=True)
    else:
        return said.status
    with undisturbed():  # Ctrl-C is for the shell on the box
        return subprocess.call(command, cwd=box.directory)
