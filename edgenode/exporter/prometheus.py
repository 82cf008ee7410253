"""The bridge to prometheus-client: a collector that asks the node at each scrape."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from edgenode.api.client import NodeClient
from edgenode.exporter.metrics import METRICS, Metric
from edgenode.exporter.snapshot import Snapshot, take_snapshot

log = logging.getLogger(__name__)


class NodeCollector(Collector):
    """Collects the metrics of one node; a node that is away is a metric, not an error."""

    def __init__(self, client: NodeClient, version: str, expected: tuple[str, ...]) -> None:
        """Nothing is asked before the first scrape.

        Args:
            client: The node.
            version: This program's version.
            expected: Services that the configuration has.
        """
        self._client = client
        self._version = version
        self._expected = expected
        self._lock = threading.Lock()  # Prometheus and a person may scrape at once
        self._scrapes = 0
        self._trouble = ""

    @property
    def scrapes(self) -> int:
        """Scrapes answered."""
        return self._scrapes

    def describe(self) -> Iterable[Family]:
        """No descriptions: the registry would ask the node for them at the start."""
        return ()

    def collect(self) -> Iterable[Family]:
        """The metrics now; families without a sample are left out."""
        with self._lock:
            self._scrapes += 1
            scrapes = self._scrapes
        snapshot, trouble = take_snapshot(self._client, self._version, self._expected, scrapes)
        if trouble != self._trouble:
            if trouble:
                log.info("the node does not answer", extra={"reason": trouble})
            else:
                log.info("the node answers again")
            self._trouble = trouble
        for metric in METRICS:
            family = _family(metric, snapshot)
            if family.samples:
                yield family


def _family(metric: Metric, snapshot: Snapshot) -> Family:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in metric.samples(snapshot):
        family.add_metric(labels, float(value))
    return family
