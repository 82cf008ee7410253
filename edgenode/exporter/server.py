"""The HTTP server of the exporter: the metrics at /metrics, and nothing elsewhere."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, make_wsgi_app

HINT = b"The metrics of this edgenode node are at /metrics.\n"
TURN_SECONDS = 1.0
"""How often an idle server's loop comes round."""

NOTHING = b"There is nothing here; the metrics are at /metrics.\n"


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base's name)
        """Log nothing: Prometheus comes every few seconds."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    on_turn: Callable[[], None]

    def service_actions(self) -> None:
        """See `socketserver.BaseServer`: the loop came round."""
        self.on_turn()


class _Ipv6Server(_Server):
    address_family = socket.AF_INET6


def serve(
    host: str, port: int, registry: CollectorRegistry, on_turn: Callable[[], None]
) -> tuple[WSGIServer, threading.Thread]:
    """Answer in a thread of its own.

    Args:
        host: IP address to listen on.
        port: TCP port.
        registry: What /metrics shows.
        on_turn: Called, in that thread, whenever the loop that accepts connections comes round.

    Returns:
        The server, whose `shutdown` ends it, and its thread.

    Raises:
        OSError: The address cannot be listened on.
    """
    server = (_Ipv6Server if ":" in host else _Server)((host, port), _Handler)
    server.set_app(_app(registry))
    server.on_turn = on_turn
    thread = threading.Thread(
        target=server.serve_forever, args=(TURN_SECONDS,), name="http", daemon=True
    )
    thread.start()
    return server, thread


def _app(registry: CollectorRegistry) -> WSGIApplication:
    metrics: WSGIApplication = make_wsgi_app(registry)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return metrics(environ, start_response)
        status, text = ("200 OK", HINT) if path == "/" else ("404 Not Found", NOTHING)
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [text]

    return answer
