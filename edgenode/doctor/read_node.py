"""What the local API says of the node."""

from __future__ import annotations

from pathlib import Path

from edgenode.api.client import ApiError, NodeClient, NodeUnavailableError
from edgenode.doctor.facts import Node, Unknown

TIMEOUT_S = 5.0
"""A node that is validating a block answers within a second or two."""


def read_node(socket: Path) -> Node | Unknown:
    """Ask the node at a socket."""
    client = NodeClient(socket, timeout=TIMEOUT_S)
    try:
        return Node(client.status(), client.peers(), client.services())
    except (NodeUnavailableError, ApiError) as error:
        return Unknown(str(error))
