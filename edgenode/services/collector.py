"""The collector service: `edgenode-collector`, one per box."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from collections.abc import Callable, Sequence

from edgenode.api.client import NodeClient
from edgenode.collector.adapters import central_for
from edgenode.collector.central import AdapterError
from edgenode.collector.collector import Collector
from edgenode.collector.counters import Counters
from edgenode.collector.group_commit import GroupCommit
from edgenode.collector.settings import CollectorSettings
from edgenode.services import notify
from edgenode.services.config import start
from edgenode.services.ending import EXIT_TRY_AGAIN, give_up
from edgenode.services.reporter import Heartbeat, Reporter
from edgenode.storage.samples import SampleStore, StoreError

_log = logging.getLogger(__name__)

HEARTBEAT_S = 1.0

# Ten heartbeats: a loop that is only busy misses none.
HANGS_AFTER_S = 10.0

GAUGES = frozenset({"connected_sensors", "last_sample_timestamp_seconds"})
"""Counters that do not only grow; the names of all others end in _total in reports."""


async def run(
    settings: CollectorSettings,
    *,
    heartbeat: Callable[[dict[str, float]], None] | None = None,
    ready: Callable[[], None] | None = None,
) -> None:
    """Collect until SIGTERM or SIGINT, then commit what waits and return.

    Args:
        settings: What to read and where to store it.
        heartbeat: Called once a second with all counters by name.
        ready: Called once the store is open and the search for sensors begins.

    Raises:
        StoreError: The store could not be opened.
        AdapterError: The library for this kind of adapter is not installed.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    central_for(settings.adapter)  # a missing library must not look like a missing adapter
    counters = Counters()
    commit = GroupCommit(
        lambda: SampleStore.open(
            settings.database, max_bytes=settings.max_bytes, max_age_s=settings.max_age_s
        ),
        settings.commit_within_s,
        counters,
    )
    collector = Collector(
        settings.sensors,
        commit,
        counters,
        next_stream=await commit.open(),
        clock=time.monotonic,
    )
    committing = asyncio.create_task(commit.run())
    collecting = asyncio.create_task(collector.run(lambda: central_for(settings.adapter)))
    stopping = asyncio.create_task(stop.wait())
    tasks = {committing, collecting, stopping}
    if ready is not None:
        ready()
    try:
        while not any(task.done() for task in tasks):
            if heartbeat is not None:
                heartbeat(collector.snapshot())
            await asyncio.wait(tasks, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (stopping, collecting):
            task.cancel()
        outcome, _ = await asyncio.gather(collecting, stopping, return_exceptions=True)
        # Whatever happened to the collecting: what waits is committed first.
        commit.stop()
        await committing
        if heartbeat is not None:
            heartbeat(collector.snapshot())
        _log.info("stopped", extra=collector.snapshot())
        if isinstance(outcome, Exception):
            raise outcome


class Pulse:
    """The last counters, for the report: the loop that collects does not wait for the node."""

    def __init__(self) -> None:
        self.heartbeat = Heartbeat(HANGS_AFTER_S)
        self._counters: dict[str, float] = {}

    def beat(self, counters: dict[str, float]) -> None:
        """Take the counters of this second.

        The time of the last sample follows from its age: a clock that was set since then has
        changed what the time was.
        """
        then = time.time() - counters["last_sample_age_seconds"]
        self._counters = {**counters, "last_sample_timestamp_seconds": then}
        del self._counters["last_sample_age_seconds"]
        self.heartbeat.beat()

    def report(self) -> tuple[str, dict[str, float]]:
        """State and values, under the names of docs/metrics.md."""
        values = {
            name if name in GAUGES else f"{name}_total": value
            for name, value in self._counters.items()
        }
        connected = values.get("connected_sensors")
        return "ok" if connected else "no sensor is connected", values


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a log record says more than the collector's own lines do.

    When an adapter or a connection goes, Bumble logs a traceback, and so does asyncio for tasks
    that Bumble forgot. The collector meets the same errors and says each in a line.
    """
    error = record.exc_info[1] if record.exc_info else None
    # By name: the appliance has no Bumble.
    return not type(error).__module__.startswith("bumble.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the collector of a node; returns the exit status."""
    node = start("collector", arguments)
    settings = node.for_collector()
    # Bumble logs each packet that it dislikes; our own line a minute says the same.
    logging.getLogger("bumble").setLevel(logging.ERROR)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_is_news)
    pulse = Pulse()
    try:
        with Reporter("collector", NodeClient(node.api), pulse.report, pulse.heartbeat):
            asyncio.run(run(settings, heartbeat=pulse.beat, ready=notify.ready))
    except (StoreError, AdapterError) as error:
        give_up("collector", error, EXIT_TRY_AGAIN)
    finally:
        notify.stopping()
    return 0


if __name__ == "__main__":
    sys.exit(main())
