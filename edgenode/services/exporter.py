"""The exporter: serves /metrics to Prometheus."""

from __future__ import annotations

import logging
import signal
import sys
import time
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
from edgenode.services.reporter import Reporter

log = logging.getLogger("edgenode.exporter")

# Prometheus gives a scrape 10 s by default.
_NODE_TIMEOUT_S = 3.0
_ALIVE_SECONDS = 5.0


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
    host, port = settings.exporter.listen
    try:
        server, thread = serve(host, port, registry)
    except OSError as error:
        sys.exit(
            f"edgenode-exporter: cannot listen on {host}:{port}: {error.strerror}; name another "
            f"address in {settings.path}, [exporter] listen"
        )
    log.info("serving http://%s:%d/metrics", host, port)
    notify.ready()
    try:
        with Reporter("exporter", client, lambda: ("ok", {"scrapes_total": collector.scrapes})):
            while thread.is_alive():
                notify.alive()
                time.sleep(_ALIVE_SECONDS)
        sys.exit("edgenode-exporter: the server ended")
    finally:
        notify.stopping()
        server.shutdown()


def _expected(settings: NodeSettings) -> tuple[str, ...]:
    """The services that should be at work: gossip, exporter, and those that have a table."""
    asked = [name for name in ("collector", "trainer", "miner") if name in settings.tables]
    return ("gossip", *asked, "exporter")


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
