"""The appliance in QEMU, for people.

    python -m qemu boot                    a box: its status, then a shell on it
    python -m qemu ward --boxes 3          boxes that find each other, train, mine and agree
    python -m qemu status                  what runs
    python -m qemu ssh bed-2               a shell on a box that runs
    python -m qemu stop                    end what was kept

(make qemu, make qemu-ward N=3; docs/qemu.md)
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from datasets.recordings import RecordingsError
from demo.interruption import interruptible
from edgenode.ledger.genesis import GenesisError
from qemu import command_boot, command_running, command_ward
from qemu.errors import QemuError
from qemu.radio_process import RECORDINGS

IMAGE = Path("var/image/edgenode-pi.img")
DIRECTORY = Path("var/qemu")

COMMANDS = {
    "boot": command_boot.boot,
    "ward": command_ward.ward,
    "status": command_running.status,
    "ssh": command_running.ssh,
    "stop": command_running.stop,
}


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m qemu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--directory", type=Path, default=DIRECTORY, help=f"files of the boxes ({DIRECTORY})"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    both = argparse.ArgumentParser(add_help=False)
    both.add_argument("--image", type=Path, default=IMAGE, help=f"the raw image ({IMAGE})")
    both.add_argument("--memory", type=int, default=768, metavar="MIB", help="of a box (768)")
    both.add_argument("--internet", action="store_true", help="let boxes reach the outside")
    both.add_argument("--console", action="store_true", help="show the console while it boots")
    both.add_argument(
        "--recordings",
        type=Path,
        default=RECORDINGS,
        help=f"what the wearables replay ({RECORDINGS})",
    )
    both.add_argument("--speed", type=float, default=1.0, help="times life at which they do (1)")

    boot = commands.add_parser("boot", parents=[both], help="a box and a shell on it")
    boot.add_argument("--name", default="box", help="the box's name (box)")
    boot.add_argument("--settings", type=Path, help="its edgenode.toml (default: one is made)")
    boot.add_argument("--keep", action="store_true", help="let it run on after the shell")
    boot.add_argument("--run", metavar="COMMAND", help="run this on it instead of a shell")

    ward = commands.add_parser("ward", parents=[both], help="several boxes that work together")
    ward.add_argument("--boxes", type=int, default=2, metavar="N", help="how many (2)")
    ward.add_argument(
        "--network",
        choices=("switch", "bridge"),
        default="switch",
        help="what carries their frames; a bridge needs root (switch)",
    )
    ward.add_argument("--blocks", type=int, metavar="N", help="end when all agree on block N")
    ward.add_argument("--spacing", type=int, default=30, help="seconds between blocks (30)")

    commands.add_parser("status", help="what runs")
    ssh = commands.add_parser("ssh", help="a shell on a box that runs")
    ssh.add_argument("name", nargs="?", help="the box (default: the only one that runs)")
    ssh.add_argument("words", nargs=argparse.REMAINDER, help="a command instead of a shell")
    stop = commands.add_parser("stop", help="end boxes that run, and remove their disks")
    stop.add_argument("names", nargs="*", metavar="name", help="which (default: all)")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit status."""
    options = read_options(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    with interruptible():
        try:
            return COMMANDS[options.command](options)
        except (QemuError, RecordingsError, GenesisError, OSError, ValueError) as error:
            sys.stderr.write(f"qemu: {error}\n")
        except KeyboardInterrupt:
            sys.stderr.write("qemu: interrupted\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
