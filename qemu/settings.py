"""What is written on a guest's card: `edgenode.toml`, made for it or taken from a file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface
from typing import Any

from edgenode.appliance.toml_text import document_text

Tables = Mapping[str, Mapping[str, Any]]

SYNC_PORT = 7070
"""Where every node listens for copies of the chain, as docs/configuration.md has it."""


def for_box(
    hostname: str, keys: Sequence[str], *, address: IPv4Interface | None = None
) -> dict[str, dict[str, Any]]:
    """The tables of a box that people log in to.

    Args:
        hostname: Its name.
        keys: Public SSH keys of its operators.
        address: A fixed address; None for DHCP.
    """
    tables: dict[str, dict[str, Any]] = {
        "box": {"hostname": hostname},
        "ssh": {"keys": list(keys)},
    }
    if address is not None:
        tables["ethernet"] = {"address": str(address)}
    return tables


def for_member(
    seeds: Sequence[IPv4Address], ward_key: bytes, sensors: Sequence[str], share: float
) -> dict[str, dict[str, Any]]:
    """The tables of a box that belongs to a ward.

    Args:
        seeds: Boxes to ask first.
        ward_key: 32 secret bytes.
        sensors: Addresses of its wearables; a box without any does not train.
        share: Share of its time that its miner hashes.
    """
    tables: dict[str, dict[str, Any]] = {
        "ward": {"key": ward_key.hex()},
        "node": {},
        "gossip": {"seeds": [f"{seed}:{SYNC_PORT}" for seed in seeds]},
        "miner": {"share": share},
        "exporter": {"listen": "0.0.0.0:9464"},
    }
    if sensors:
        tables["collector"] = {"adapter": "bluez:hci0", "sensors": list(sensors)}
        tables["trainer"] = {"model": "activity"}
    return tables


def text(tables: Tables) -> str:
    """The file."""
    return document_text(tables)


def with_key(written: str, key: str) -> str:
    """A person's settings, with the harness' SSH key beside theirs.

    A file that names the key is taken as it stands, so that its comments and line numbers stay. So
    is one that is not TOML: what the box says of it is then what is looked at.

    Args:
        written: The file.
        key: A public SSH key.
    """
    try:
        tables = tomllib.loads(written)
    except tomllib.TOMLDecodeError:
        return written
    ssh = tables.setdefault("ssh", {})
    keys = ssh.setdefault("keys", []) if isinstance(ssh, dict) else None
    tables_only = all(isinstance(table, dict) for table in tables.values())
    if not isinstance(keys, list) or key in keys or not tables_only:
        return written
    keys.append(key)
    return document_text(tables)
