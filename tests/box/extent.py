"""How much of a test is run: `make qemu-test` takes the short extent, `make qemu-test-full` all."""

from __future__ import annotations

import os

FULL = os.environ.get("EDGENODE_EXTENT") == "full"


def count(*, short: int, full: int) -> int:
    """How often something is tried."""
    return full if FULL else short
