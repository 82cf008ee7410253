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

from prometheus_client import CollectorRegistry, start_http_server

from edgenode.api.client import NodeClient
from edgenode.exporter.prometheus import NodeCollector
from edgenode.services import notify
from edgenode.services.config import TABLES, NodeSettings, start
from edgenode.services.reporter import Reporter
from edgenode.services.toml_table import TomlFile

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
        server, thread = start_http_server(port, host, registry)
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
    """The services that should be at work: those that the configuration has a table for."""
    services = ["gossip"]
    services += ["collector"] if settings.collector is not None else []
    services += ["trainer"] if settings.trainer is not None else []
    # Its settings have defaults: only the file tells whether there is a table.
    mines = TomlFile(settings.path).table("miner", TABLES["miner"]) is not None
    services += ["miner"] if mines else []
    return (*services, "exporter")


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
