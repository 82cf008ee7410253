"""The node's own tables in a box's file, checked by what the services read them with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgenode.appliance.toml_text import document_text
from edgenode.gossip.clock import Policy
from edgenode.services.config import DEFAULT_API, DEFAULT_STATE, TABLES, ConfigError, load
from edgenode.services.toml_table import TomlFile

NODE_TABLES = tuple(TABLES)

NodeTables = Mapping[str, Mapping[str, Any]]
"""The values of each table as they stand in the file."""

_FIXED = {
    ("node", "state"): DEFAULT_STATE,
    ("node", "api"): DEFAULT_API,
    ("node", "genesis"): "genesis.toml",
    ("gossip", "ward_key"): "ward.key",
    ("gossip", "member_key"): "member.key",
}
"""What the units of a box rely on."""

_PLACE = re.compile(r"\[(?P<table>\w+)\](?: (?P<key>[\w-]+))?: (?P<text>.*)", re.DOTALL)


def node_document(tables: NodeTables, hostname: str) -> str:
    """The configuration that the services of a box read.

    Args:
        tables: What the box's file has of the node's tables.
        hostname: The node's name, where the file gives none.
    """
    # Boards have no clock that runs without power, so a box does not trust the one it has.
    node = {"name": hostname, "clock": Policy.SYNCHRONISED.value, **tables.get("node", {})}
    return document_text({"node": node, **{k: v for k, v in tables.items() if k != "node"}})


def check_node_table(
    file: TomlFile, name: str, values: Mapping[str, Any], hostname: str, scratch: Path
) -> None:
    """Check one of the node's tables, whatever the others are like.

    Args:
        file: The box's file, for the line of an error.
        name: The table's name.
        values: Its values.
        hostname: The node's name, where the table gives none.
        scratch: A directory for the file that is tried.

    Raises:
        ConfigError: The services would refuse it, or a box cannot have it so.
    """
    for (table, key), fixed in _FIXED.items():
        if table == name and values.get(key, fixed) != fixed:
            raise file.error(name, key, f'is always "{fixed}" on a box; leave the key out')
    tried = scratch / "tried.toml"
    tried.write_text(node_document({name: values}, hostname), encoding="utf-8")
    try:
        load(tried)
    except ConfigError as error:
        text = str(error).removeprefix(str(tried))
        place = _PLACE.search(text)
        if place is None or place["table"] != name:
            raise file.error(name, None, text) from None
        raise file.error(name, place["key"], place["text"]) from None
