"""`edgenode-wanted`: whether a node's configuration asks for a service; its exit status says it.

The units of collector, trainer and miner run it as ExecCondition=, so that one image serves boxes
with sensors and boxes without, and the configuration alone decides (docs/systemd.md). It reads
nothing but the names of the tables and imports nothing that a slow board would feel.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Sequence
from pathlib import Path

from edgenode.services.config_file import configured_path

WANTED = 0
NOT_WANTED = 1
"""systemd skips a unit whose condition ends with 1 to 254, and does not call it failed."""

OPTIONAL = ("collector", "trainer", "miner")
"""The services that a node runs only with a table of that name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Say whether a service is wanted; returns the exit status.

    A file that is missing or wrong asks for everything: the service itself then says what is wrong
    with it and fails, where a skipped one would leave a box that looks well.
    """
    parser = argparse.ArgumentParser(
        prog="edgenode-wanted", description="Does this node's configuration ask for a service?"
    )
    parser.add_argument("service", choices=OPTIONAL)
    parser.add_argument("--config", type=Path, default=configured_path(), metavar="FILE")
    arguments = parser.parse_args(argv)
    try:
        with arguments.config.open("rb") as file:
            tables = tomllib.load(file)
    except (OSError, ValueError):
        return WANTED
    if arguments.service in tables:
        return WANTED
    print(  # noqa: T201
        f"{arguments.config} has no [{arguments.service}] table: this box runs no "
        f"{arguments.service}"
    )
    return NOT_WANTED
