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


_READY = "READY=1"

STEP_SECONDS = 900
"""What a unit allows for a start (TimeoutStartSec=), anew after each step of a long one."""


def _tell(message: str) -> None:
    if "NOTIFY_SOCKET" not in os.environ:
        return
    if _send is not None:
        _send(message)
    elif message == _READY:  # once is enough
        log.warning(
            "systemd waits for messages (Type=notify), but python3-systemd is not installed"
        )


def starting() -> None:
    """The service is not up yet, but a step nearer: the time that a start may take begins anew."""
    _tell(f"EXTEND_TIMEOUT_USEC={STEP_SECONDS * 1_000_000}")


def ready() -> None:
    """The service is up."""
    _tell(_READY)


def alive() -> None:
    """The service's loop came round; systemd restarts a service that falls silent."""
    _tell("WATCHDOG=1")


def stopping() -> None:
    """The service is ending in order."""
    _tell("STOPPING=1")
