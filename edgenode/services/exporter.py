"""The exporter: serves /metrics to Prometheus."""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from importlib.metadata import version
from types import FrameType
from typing import NoReturn

from prometheus_client import CollectorRegistry

from edgenode.api.client import NodeClient
from edgenode.exporter.prometheus import NodeCollector
from edgenode.exporter.server import serve
from edgenode.services import notify
from edgenode.services.config import NodeSettings, start
from edgenode.services.ending import EXIT_TRY_AGAIN, give_up
from edgenode.services.reporter import Heartbeat, Reporter
from edgenode.services.wanted import OPTIONAL

log = logging.getLogger("edgenode.exporter")

# Prometheus gives a scrape 10 s by default.
_NODE_TIMEOUT_S = 3.0

# Thirty idle turns of the server's loop: one that is only busy misses none.
HANGS_AFTER_SECONDS = 30.0


def main(argv: Sequence[str] | None = None) -> None:
    """Run the exporter until SIGTERM or SIGINT.

    Raises:
        SystemExit: Always in the end; status 0 when it was told to stop.
    """
    settings = start("exporter", argv)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    client = NodeClient(settings.api, timeout=_NODE_TIMEOUT_S)
    collector = NodeCollector(client, version("edgenode"), _expected(settings))
    registry = CollectorRegistry()
    registry.register(collector)
    heartbeat = Heartbeat(HANGS_AFTER_SECONDS)
    host, port = settings.exporter.listen
    try:
        server, thread = serve(host, port, registry, heartbeat.beat)
    except OSError as error:
        give_up(
            "exporter",
            f"cannot listen on {host}:{port}: {error.strerror}; name another address in "
            f"{settings.path}, [exporter] listen",
            EXIT_TRY_AGAIN,
        )
    log.info("serving", extra={"url": f"http://{host}:{port}/metrics"})
    notify.ready()
    try:
        with Reporter("exporter", client, lambda: _report(collector), heartbeat):
            thread.join()
        give_up("exporter", "the server ended", EXIT_TRY_AGAIN)
    finally:
        notify.stopping()
        server.shutdown()


def _report(collector: NodeCollector) -> tuple[str, dict[str, float]]:
    return "ok", {"scrapes_total": collector.scrapes}


def _expected(settings: NodeSettings) -> tuple[str, ...]:
    """The services that should be at work: gossip, exporter, and those that have a table."""
    asked = [name for name in OPTIONAL if name in settings.tables]
    return ("gossip", *asked, "exporter")


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
