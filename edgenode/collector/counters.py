"""What the collector counts, for its heartbeat and its metrics. No address occurs here."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields


@dataclass(slots=True)
class Counters:
    """Running totals since the collector started; all but `connected_sensors` only grow.

    Attributes:
        notifications: Notifications received, of both characteristics, malformed ones included.
        samples: New samples received.
        annotations: Annotations received.
        streams: Streams begun.
        gaps: Places where samples are missing, within a connection or between two.
        missing_samples: Samples missing in those gaps.
        malformed: Notifications dropped because their bytes break the layout.
        duplicates: Notifications dropped because their samples were received before.
        out_of_order: Notifications dropped because they came after later ones.
        connection_failures: Attempts to connect that did not end in streaming.
        reconnects: Connections of a sensor after its first.
        connected_sensors: Sensors that are streaming now.
        adapter_failures: Times the Bluetooth adapter could not be used or was lost.
        stored_samples: Samples whose commit was acknowledged by the disk.
        dropped_samples: Samples given up because the store had no room for longer than memory.
        store_errors: Commits that failed.
    """

    notifications: int = 0
    samples: int = 0
    annotations: int = 0
    streams: int = 0
    gaps: int = 0
    missing_samples: int = 0
    malformed: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    connection_failures: int = 0
    reconnects: int = 0
    connected_sensors: int = 0
    adapter_failures: int = 0
    stored_samples: int = 0
    dropped_samples: int = 0
    store_errors: int = 0

    def as_dict(self) -> dict[str, float]:
        """The totals by name."""
        return {name: float(value) for name, value in asdict(self).items()}


# For whoever declares metrics before there is a collector to ask. The age of the last sample is
# computed when asked for (see `Collector.snapshot`).
COUNTER_NAMES = (*(field.name for field in fields(Counters)), "last_sample_age_seconds")
