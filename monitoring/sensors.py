"""The row of sensors: what comes in, what is missing, what fails."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.models import units

from monitoring.panels import BOXES, ORANGE, RED, PanelBuilder, graph, query


def panels() -> Iterator[PanelBuilder]:
    """The row's panels."""
    yield graph(
        "Samples stored",
        "Samples whose commit the disk acknowledged. One sensor gives 50 a second while worn.",
        query(
            f"rate(edgenode_collector_stored_samples_total{{{BOXES}}}[$__rate_interval])",
            "{{instance}}",
        ),
        unit=units.Short,
        axis="samples per second",
    )
    yield graph(
        "Time since the last sample",
        "Rises while no sensor delivers: out of reach, not worn, not charged. Red line: an alert.",
        query(
            f"time() - edgenode_collector_last_sample_timestamp_seconds{{{BOXES}}}", "{{instance}}"
        ),
        unit=units.Seconds,
        axis="time",
        thresholds=[(300, RED)],
    )
    yield graph(
        "Sensors connected",
        "Sensors that stream now, of those that the box is allowed to use.",
        query(f"edgenode_collector_connected_sensors{{{BOXES}}}", "{{instance}}"),
        unit=units.Short,
        axis="sensors",
    )
    yield graph(
        "Samples missing",
        "The part of a quarter of an hour's samples that got lost between sensor and box. The "
        "radio is bad: move the box, charge the sensor.",
        query(
            f"instance:edgenode_collector_missing_samples:ratio_rate15m{{{BOXES}}}", "{{instance}}"
        ),
        unit=units.PercentUnit,
        axis="of all samples",
        thresholds=[(0.05, RED)],
    )
    yield graph(
        "Connections made and failed",
        "Within an hour. New connections are a sensor at the edge of the radio's reach; failures "
        "without end are one that is off or belongs to another box.",
        query(
            f"increase(edgenode_collector_reconnects_total{{{BOXES}}}[1h])",
            "{{instance}} made anew",
        ),
        query(
            f"increase(edgenode_collector_connection_failures_total{{{BOXES}}}[1h])",
            "{{instance}} failed",
        ),
        unit=units.Short,
        axis="per hour",
        thresholds=[(12, ORANGE)],
    )
    yield graph(
        "Trouble of adapter and store",
        "Within an hour: commits that failed (disk full or failing), times the Bluetooth adapter "
        "was lost, notifications that were no sensor data. All should be 0.",
        query(
            f"increase(edgenode_collector_store_errors_total{{{BOXES}}}[1h])",
            "{{instance}} commits failed",
        ),
        query(
            f"increase(edgenode_collector_adapter_failures_total{{{BOXES}}}[1h])",
            "{{instance}} adapter lost",
        ),
        query(
            f"increase(edgenode_collector_malformed_total{{{BOXES}}}[1h])",
            "{{instance}} malformed",
        ),
        unit=units.Short,
        axis="per hour",
        thresholds=[(1, RED)],
    )
