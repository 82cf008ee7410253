"""Reports of a service to the local API, once a second, from a thread of their own."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from edgenode.api.client import ApiError, NodeClient, NodeUnavailableError
from edgenode.api.shapes import ServiceReport

log = logging.getLogger(__name__)

REPORT_SECONDS = 1.0


class Reporter:
    """Reports while the service runs; a node that is away or refuses is no reason to stop."""

    def __init__(
        self, client: NodeClient, service: str, report: Callable[[], ServiceReport]
    ) -> None:
        """Start reporting.

        Args:
            client: The node.
            service: Name of the service.
            report: Makes a report; called in the reporter's thread.
        """
        self._client = client
        self._service = service
        self._report = report
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="report", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; a report that is on its way does not hold up the end."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(REPORT_SECONDS):
            try:
                self._client.report(self._service, self._report())
            except (NodeUnavailableError, ApiError) as error:
                log.debug("no report: %s", error)
