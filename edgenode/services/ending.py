"""How a service ends that cannot go on: a line for people, an exit status for systemd."""

from __future__ import annotations

import logging
import sys
from typing import NoReturn

from edgenode.services import logs

log = logging.getLogger(__name__)

EXIT_TRY_AGAIN = 1
"""Another start may help: systemd restarts the service."""

EXIT_BAD_FILE = 5
"""A file must be mended first: systemd leaves the service alone. The same status as the `edgenode`
command's for an unusable file."""


def give_up(service: str, reason: Exception | str, status: int) -> NoReturn:
    """Say why and end.

    Args:
        service: Name of the service, such as "miner".
        reason: What is wrong and what to do.
        status: EXIT_TRY_AGAIN or EXIT_BAD_FILE.

    Raises:
        SystemExit: Always, with this status.
    """
    if logs.is_journal(logs.STANDARD_ERROR):
        log.error("cannot go on", extra={"reason": reason, "status": status})
    else:
        print(f"edgenode-{service}: {reason}", file=sys.stderr)  # noqa: T201
    raise SystemExit(status) from None
