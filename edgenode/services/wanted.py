"""`edgenode-wanted`: whether a node's configuration asks for a service; its exit status says it.

The units of collector, trainer, miner, pool and gateway run it as ExecCondition=, so that one image
serves boxes with sensors and boxes without, and the configuration alone decides (docs/systemd.md).
It reads the names of tables and of two keys of [miner], and imports nothing that a slow board would
feel.
"""

from __future__ import annotations

import argparse
import tomllib
from collections.abc import Sequence
from pathlib import Path

from edgenode.services.config_file import configured_path

NETWORK_KEYS = ("stratum", "pool")
"""Keys of [miner] with which it needs a network. It then runs as `pool`, in a unit that has one."""

WANTED = 0
NOT_WANTED = 1
"""systemd skips a unit whose condition ends with 1 to 254, and does not call it failed."""

OPTIONAL = ("collector", "trainer", "miner", "gateway")
"""The services that a node runs only with a table of that name."""

POOL = "pool"
"""The unit of a miner that lets others mine, or mines for others. A box runs it or `miner`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Say whether a service is wanted; returns the exit status.

    A file that is missing or wrong asks for everything: the service itself then says what is wrong
    with it and fails, where a skipped one would leave a box that looks well.
    """
    parser = argparse.ArgumentParser(
        prog="edgenode-wanted", description="Does this node's configuration ask for a service?"
    )
    parser.add_argument("service", choices=(*OPTIONAL, POOL))
    parser.add_argument("--config", type=Path, default=configured_path(), metavar="FILE")
    arguments = parser.parse_args(argv)
    try:
        with arguments.config.open("rb") as file:
            tables = tomllib.load(file)
    except (OSError, ValueError):
        return WANTED
    reason = _not_wanted(arguments.service, tables)
    if reason is None:
        return WANTED
    print(f"{arguments.config} {reason}")  # noqa: T201
    return NOT_WANTED


def _not_wanted(service: str, tables: dict[str, object]) -> str | None:
    """Why a service is not wanted; None if it is."""
    table = "miner" if service == POOL else service
    if table not in tables:
        return f"has no [{table}] table: this box runs no {service}"
    if table == "miner":
        miner = tables[table]
        keys = [key for key in NETWORK_KEYS if isinstance(miner, dict) and miner.get(key)]
        if service == POOL and not keys:
            return (
                f"has neither {' nor '.join(NETWORK_KEYS)} in [miner]: the miner needs no network"
            )
        if service != POOL and keys:
            return f"has {' and '.join(keys)} in [miner]: the miner runs as edgenode-{POOL}"
    return None
