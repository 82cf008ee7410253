"""The configuration, and what edgenode-setup found wrong in the box's settings."""

from __future__ import annotations

import json
from pathlib import Path

from edgenode.appliance.mistake import Mistake
from edgenode.appliance.setup import MISTAKES
from edgenode.doctor.facts import Unknown, Ward
from edgenode.ledger.genesis import GenesisError
from edgenode.services.config import ConfigError, NodeSettings, load
from edgenode.storage.genesis import read_genesis

MISTAKES_FILE = Path("/") / MISTAKES


def read_settings(path: Path, *, optional: bool) -> NodeSettings | Unknown | None:
    """The node's configuration.

    Args:
        path: Its file.
        optional: Whether a file that is not there is no mistake; None is returned then.
    """
    if optional and not path.exists():
        return None
    try:
        return load(path)
    except ConfigError as error:
        return Unknown(str(error))


def read_mistakes(path: Path = MISTAKES_FILE) -> tuple[Mistake, ...] | Unknown:
    """What edgenode-setup left; nothing where it does not run."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, RecursionError) as error:
        return Unknown(f"{path}: {error}")
    try:
        return tuple(Mistake(str(each["where"]), str(each["what"])) for each in found)
    except (TypeError, KeyError) as error:
        return Unknown(f"{path}: is no list of mistakes: {error!r}")


def read_ward(settings: NodeSettings | None) -> Ward | Unknown:
    """What genesis says of time."""
    if settings is None:
        return Unknown("no configuration names the genesis file")
    try:
        genesis = read_genesis(settings.gossip.genesis)
    except GenesisError as error:
        return Unknown(str(error))
    return Ward(genesis.spacing, genesis.future_bound)
