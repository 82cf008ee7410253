"""What systemd is told: that the service is up, that it is alive, that it is going (sd_notify(3)).

The messages go through python3-systemd, which the appliance has from Debian. Where it is missing,
or where no systemd asked for messages, nothing is sent.
"""

from __future__ import annotations

import logging
import os

log = logging.getLogger(__name__)

try:
    from systemd.daemon import notify as _send
except ImportError:  # a development machine, or a container
    _send = None


def _tell(message: str) -> None:
    if "NOTIFY_SOCKET" not in os.environ:
        return
    if _send is None:
        log.warning(
            "systemd waits for messages (Type=notify), but python3-systemd is not installed"
        )
        return
    _send(message)


def ready() -> None:
    """The service is up."""
    _tell("READY=1")


def alive() -> None:
    """The service's loop came round; systemd restarts a service that falls silent."""
    _tell("WATCHDOG=1")


def stopping() -> None:
    """The service is ending in order."""
    _tell("STOPPING=1")
