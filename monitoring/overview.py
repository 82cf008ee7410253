"""What a biomedical engineer looks at first: is anything wrong, where, since when."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.builders.common import VizLegendOptions
from grafana_foundation_sdk.builders.statetimeline import Panel as StateTimeline
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.common import VisibilityMode
from grafana_foundation_sdk.models.dashboard import (
    ValueMap,
    ValueMappingResult,
)

from monitoring import tables
from monitoring.panels import (
    BOXES,
    DATASOURCE,
    GREEN,
    ORANGE,
    RED,
    WARDS,
    PanelBuilder,
    query,
    stat,
)

BOX = "job, ward, instance"

_STATES = {
    "0": ("silent", RED),
    "1": ("a service is silent", ORANGE),
    "2": ("well", GREEN),
}


def panels() -> Iterator[PanelBuilder]:
    """The row's panels."""
    yield from _numbers()
    yield tables.alerts()
    yield _states()
    yield tables.wards()
    yield tables.boxes()


def _numbers() -> Iterator[PanelBuilder]:
    yield stat(
        "Alerts",
        "Alerts that fire now, for these wards. The table below says which and where; "
        "docs/monitoring.md says what to do.",
        f'count(ALERTS{{alertstate="firing",{WARDS}}}) or vector(0)',
        unit=units.Short,
        thresholds=[(1, RED)],
    )
    yield stat(
        "Boxes that do not answer",
        "Boxes that Prometheus cannot reach: off, cut off, or their exporter is down.",
        f"sum(1 - up{{{BOXES}}})",
        unit=units.Short,
        thresholds=[(1, RED)],
    )
    yield stat(
        "Beds without sensor data",
        "Boxes whose last sample is older than five minutes. An empty bed is one of them.",
        f"sum((time() - edgenode_collector_last_sample_timestamp_seconds{{{BOXES}}}) > bool 300)",
        unit=units.Short,
        thresholds=[(1, ORANGE)],
    )
    yield stat(
        "Samples dropped",
        "Samples given up in the time shown, because a disk had no room. Must be 0.",
        f"sum(increase(edgenode_collector_dropped_samples_total{{{BOXES}}}[$__range]))",
        unit=units.Short,
        thresholds=[(1, RED)],
    )
    yield stat(
        "Age of the last block",
        "Of the ward that has waited longest. Blocks come by luck, every 90 s on average; ten "
        "times that without one is an alert.",
        f"max(time() - ward:edgenode_chain_head_timestamp_seconds:max{{{WARDS}}})",
        unit=units.Seconds,
        thresholds=[(450, ORANGE), (900, RED)],
    )
    yield stat(
        "Accuracy of the shared model",
        "Mean over the boxes, each measured on windows that it never trains on.",
        f"avg(edgenode_trainer_accuracy_ratio{{{BOXES}}})",
        unit=units.PercentUnit,
        thresholds=[(0.5, ORANGE), (0.75, GREEN)],
        below=RED,
        decimals=1,
    )


def _states() -> PanelBuilder:
    return (
        StateTimeline()
        .title("Boxes over time")
        .description(
            "Red: the box did not answer. Orange: it answered, but one of its services was silent."
        )
        .datasource(DATASOURCE)
        .with_target(
            query(
                f"up{{{BOXES}}} + on ({BOX}) min by ({BOX}) (edgenode_service_up{{{BOXES}}})"
                f" or up{{{BOXES}}}",
                "{{instance}}",
            ).ref_id("A")
        )
        .mappings(
            [
                ValueMap(
                    {
                        value: ValueMappingResult(text=text, color=colour, index=index)
                        for index, (value, (text, colour)) in enumerate(_STATES.items())
                    }
                )
            ]
        )
        .show_value(VisibilityMode.NEVER)
        .row_height(0.8)
        .fill_opacity(80)
        .legend(VizLegendOptions().show_legend(True))
        .height(9)
        .span(12)
    )
