"""Sends a service's report to the local API, once a second, from a thread of its own."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Self

from edgenode.api.client import ApiError, NodeClient, NodeUnavailableError
from edgenode.api.shapes import ServiceReport
from edgenode.services import notify

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 1.0


class Heartbeat:
    """Whether a service's own loop still comes round; any thread may ask.

    A report from a thread of its own would otherwise say for ever that a service is at work whose
    loop hangs.
    """

    def __init__(self, within: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with a beat.

        Args:
            within: Seconds after which a loop that has not beaten is taken to hang.
            clock: A monotonic time in seconds.
        """
        self._within = within
        self._clock = clock
        self._last = clock()

    def beat(self) -> None:
        """The loop came round; systemd is told too."""
        self._last = self._clock()
        notify.alive()

    @property
    def missed(self) -> bool:
        """Whether the loop seems to hang."""
        return self._clock() - self._last > self._within


class Reporter:
    """Reports while the `with` block lasts; a node that does not answer is tried again."""

    def __init__(
        self,
        service: str,
        client: NodeClient,
        read: Callable[[], tuple[str, Mapping[str, float]]],
        heartbeat: Heartbeat | None = None,
    ) -> None:
        """Prepare; `read` gives the service's state and values, from any thread.

        Values that are not finite are not known yet and left out. While the heartbeat is missed
        there is no report, so that the service counts as down.
        """
        self._heartbeat = heartbeat
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
        hangs = False
        while not self._stop.wait(INTERVAL_SECONDS):
            if self._heartbeat is not None and self._heartbeat.missed:
                if not hangs:
                    log.error("the loop hangs: no reports", extra={"service": self._service})
                hangs = True
                continue
            hangs = False
            state, values = self._read()
            known = {name: value for name, value in values.items() if math.isfinite(value)}
            try:
                self._client.report(self._service, ServiceReport.of(state, known))
            except (NodeUnavailableError, ApiError) as error:
                log.debug("no report", extra={"error": error})
