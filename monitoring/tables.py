"""Tables: a line for each alert, ward and box as they are now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from grafana_foundation_sdk.builders.common import TableSortByFieldState
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.common import TableAutoCellOptions
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue

from monitoring.panels import (
    BOXES,
    DATASOURCE,
    GREEN,
    ORANGE,
    RED,
    WARDS,
    Limits,
    limits,
    rows,
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of numbers.

    Attributes:
        title: Its head; empty for a query that only carries labels.
        expression: What is in it; its labels say in which line.
        unit: Grafana's name of the unit.
        thresholds: From which value on its text has which colour; none for plain text.
        below: Colour under the first of them.
    """

    title: str
    expression: str
    unit: str = units.Short
    thresholds: Limits = ()
    below: str = GREEN


def alerts() -> Table:
    """What fires."""
    return (
        _table("What is wrong now", "Alerts that fire. No rows: nothing is wrong.", "Severity")
        .with_target(rows(f'ALERTS{{alertstate="firing",{WARDS}}}', "A"))
        .with_transformation(
            _named(
                {
                    "severity": "Severity",
                    "alertname": "Alert",
                    "ward": "Ward",
                    "instance": "Box",
                    "service": "Service",
                },
                hidden=("Time", "Value", "__name__", "alertstate", "job", "rule"),
            )
        )
        .no_value("nothing is wrong")
        .height(9)
        .span(12)
    )


def wards() -> Table:
    """Each ward as a whole."""
    hourly = f"3600 * sum by (ward) (ward:edgenode_trainer_updates_submitted:rate15m{{{WARDS}}})"
    columns = (
        Column("Boxes", f"sum by (ward) (ward:edgenode_boxes:count{{{WARDS}}})"),
        Column("Boxes that answer", f"sum by (ward) (ward:edgenode_boxes_up:sum{{{WARDS}}})"),
        Column("Height", f"max by (ward) (ward:edgenode_chain_height:max{{{WARDS}}})"),
        Column("Members", f"max by (ward) (edgenode_ward_members{{{WARDS}}})"),
        Column(
            "Endorse",
            f"max by (ward) (ward:edgenode_chain_checkpoint_endorsements:ratio{{{WARDS}}})",
            units.PercentUnit,
            [(2 / 3, GREEN)],
            below=ORANGE,
        ),
        Column(
            "Accuracy",
            f"avg by (ward) (ward:edgenode_trainer_accuracy_ratio:avg{{{WARDS}}})",
            units.PercentUnit,
        ),
        Column("Updates per hour", hourly),
        Column(
            "Samples per second",
            f"sum by (ward) (ward:edgenode_collector_stored_samples:rate5m{{{WARDS}}})",
        ),
        Column(
            "Hash rate",
            f"sum by (ward) (ward:edgenode_miner_hashes_per_second:sum{{{WARDS}}})",
            units.HashesPerSecond,
        ),
        Column(
            "Bytes sent",
            f"sum by (ward) (ward:edgenode_gossip_sent_bytes:rate5m{{{WARDS}}})",
            units.BytesPerSecondSI,
        ),
    )
    table = _table("Wards", "Each ward now, its boxes added up or, for accuracy, averaged.", "Ward")
    return _filled(table, {"ward": "Ward"}, columns).height(6).span(24)


def boxes() -> Table:
    """Each box."""
    columns = (
        Column("", f"max by (ward, instance, version) (edgenode_build_info{{{BOXES}}})"),
        Column(
            "Clock trusted",
            _of_box("edgenode_clock_trusted"),
            units.BoolYesNo,
            [(1, GREEN)],
            below=RED,
        ),
        Column(
            "Enrolled",
            _of_box("edgenode_member_enrolled"),
            units.BoolYesNo,
            [(1, GREEN)],
            below=RED,
        ),
        Column("Height", _of_box("edgenode_chain_height")),
        Column(
            "Blocks behind",
            _of_box("instance:edgenode_chain_blocks_behind:diff"),
            thresholds=[(2, ORANGE), (4, RED)],
        ),
        Column("Peers", _of_box("edgenode_gossip_peers"), thresholds=[(1, GREEN)], below=ORANGE),
        Column("Sensors", _of_box("edgenode_collector_connected_sensors")),
        Column(
            "Last sample",
            f"time() - {_of_box('edgenode_collector_last_sample_timestamp_seconds')}",
            units.Seconds,
            [(60, ORANGE), (300, RED)],
        ),
        Column("Accuracy", _of_box("edgenode_trainer_accuracy_ratio"), units.PercentUnit),
        Column("Up for", f"time() - {_of_box('edgenode_start_time_seconds')}", units.Seconds),
    )
    table = _table(
        "Boxes",
        "Each box now. A cell is empty where the box or its service does not report.",
        "Box",
    )
    labels = {"ward": "Ward", "instance": "Box", "version": "Version"}
    return _filled(table, labels, columns).height(9).span(24)


def _of_box(metric: str) -> str:
    return f"max by (ward, instance) ({metric}{{{BOXES}}})"


def _table(title: str, description: str, sorted_by: str) -> Table:
    return (
        Table()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .sort_by([TableSortByFieldState().display_name(sorted_by)])
        .filterable(True)
        .cell_options(TableAutoCellOptions())
    )


def _filled(table: Table, labels: Mapping[str, str], columns: Sequence[Column]) -> Table:
    """Query the columns, lay the lines with the same labels together, name and colour them."""
    references = dict(zip(ascii_uppercase, columns, strict=False))
    for reference, column in references.items():
        table.with_target(rows(column.expression, reference))
    table.with_transformation(DataTransformerConfig(id_val="merge", options={}))
    values = {f"Value #{reference}": column.title for reference, column in references.items()}
    table.with_transformation(
        _named(
            {**labels, **{value: title for value, title in values.items() if title}},
            hidden=("Time", *(value for value, title in values.items() if not title)),
        )
    )
    for column in columns:
        if column.title:
            table.override_by_name(column.title, list(_looks(column)))
    return table


def _looks(column: Column) -> Iterator[DynamicConfigValue]:
    yield DynamicConfigValue("unit", column.unit)
    if column.thresholds:
        colours = limits(column.thresholds, column.below).build()
        yield DynamicConfigValue("thresholds", colours)
        yield DynamicConfigValue("custom.cellOptions", {"type": "color-text"})


def _named(names: Mapping[str, str], hidden: Sequence[str]) -> DataTransformerConfig:
    """Name and order a table's columns."""
    return DataTransformerConfig(
        id_val="organize",
        options={
            "renameByName": dict(names),
            "indexByName": {name: index for index, name in enumerate(names)},
            "excludeByName": dict.fromkeys(hidden, True),
        },
    )
