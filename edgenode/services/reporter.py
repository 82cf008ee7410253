"""Sends a service's report to the local API, once a second, from a thread of its own."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping
from typing import Self

from edgenode.api.client import ApiError, NodeClient, NodeUnavailableError
from edgenode.api.shapes import ServiceReport

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0


class Reporter:
    """Reports while the `with` block lasts; a node that does not answer is tried again."""

    def __init__(
        self,
        service: str,
        client: NodeClient,
        read: Callable[[], tuple[str, Mapping[str, float]]],
    ) -> None:
        """Prepare; `read` gives the service's state and values, from any thread.

        Values that are not finite are not known yet and left out.
        """
        self._service = service
        self._client = client
        self._read = read
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="report", daemon=True)

    def __enter__(self) -> Self:
        """Begin to report."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_SECONDS):
            state, values = self._read()
            known = {name: value for name, value in values.items() if math.isfinite(value)}
            try:
                self._client.report(self._service, ServiceReport.of(state, known))
            except (NodeUnavailableError, ApiError) as error:
                log.debug("no report: %s", error)
