"""Where a node's configuration file lies."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_CONFIG = Path("/etc/edgenode/edgenode.toml")
CONFIG_VARIABLE = "EDGENODE_CONFIG"


def configured_path() -> Path:
    """The file that the environment names, or the box's."""
    return Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)
