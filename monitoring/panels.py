"""How panels look: one style for all, so that a row says only what it shows.

The grid is 24 wide. Panels of a row follow each other from left to right; their widths fill it.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_uppercase

from grafana_foundation_sdk.builders.common import (
    GraphThresholdsStyleConfig,
    ReduceDataOptions,
    StackingConfig,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.statetimeline import Panel as StateTimeline
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphThresholdsStyleMode,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")

JOB = 'job="edgenode"'
WARDS = f'{JOB},ward=~"$ward"'
"""Selects series of wards."""
BOXES = f'{WARDS},instance=~"$box"'
"""Selects series of boxes."""

GREEN, ORANGE, RED = "green", "orange", "red"

Limits = Sequence[tuple[float, str]]
"""From which value on which colour; below the first one it is green."""


PanelBuilder = Stat | StateTimeline | Table | TimeSeries
"""The kinds of panels that a row may have."""


def query(expression: str, legend: str = "") -> Dataquery:
    """A query over the time shown; the legend names labels, as in `{{instance}}`."""
    return Dataquery().expr(expression).legend_format(legend).range().datasource(DATASOURCE)


def newest(expression: str) -> Dataquery:
    """A query for the values now."""
    return Dataquery().expr(expression).instant().datasource(DATASOURCE)


def rows(expression: str, ref: str) -> Dataquery:
    """A query for the values now as a table: a column for each label, and the value's."""
    return newest(expression).format(PromQueryFormat.TABLE).ref_id(ref)


def limits(steps: Limits, below: str = GREEN) -> ThresholdsConfig:
    """Colours by value; `below` is the colour under the first limit."""
    return (
        ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(None, below), *(Threshold(value, colour) for value, colour in steps)])
    )


def stat(
    title: str,
    description: str,
    expression: str,
    *,
    unit: str,
    thresholds: Limits,
    below: str = GREEN,
    decimals: int = 0,
) -> Stat:
    """A big number that is coloured by its value, a sixth of the width."""
    return (
        Stat()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .with_target(newest(expression).ref_id("A"))
        .unit(unit)
        .decimals(decimals)
        .thresholds(limits(thresholds, below))
        .color_mode(BigValueColorMode.BACKGROUND)
        .graph_mode(BigValueGraphMode.NONE)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .no_value("no data")
        .height(4)
        .span(4)
    )


def graph(
    title: str,
    description: str,
    *queries: Dataquery,
    unit: str,
    axis: str,
    thresholds: Limits = (),
    below: str = GREEN,
    highest: float | None = None,
    stacked: bool = False,
) -> TimeSeries:
    """Lines over time, a third of the width; limits are drawn as dashed lines.

    Args:
        title: What it shows.
        description: How to read it, and what to do about it.
        queries: What is drawn.
        unit: Grafana's name of the unit.
        axis: The unit in words.
        thresholds: Limits to draw.
        below: Colour under the first limit.
        highest: Upper end of the axis, where there is one by nature.
        stacked: Whether lines are added up.
    """
    panel = (
        TimeSeries()
        .title(title)
        .description(description)
        .datasource(DATASOURCE)
        .unit(unit)
        .axis_label(axis)
        .min(0)
        .line_width(1)
        .fill_opacity(30 if stacked else 0)
        .show_points(VisibilityMode.NEVER)
        .legend(
            VizLegendOptions()
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .height(9)
        .span(8)
    )
    for ref, each in zip(ascii_uppercase, queries, strict=False):
        panel.with_target(each.ref_id(ref))
    if highest is not None:
        panel.max(highest)
    if stacked:
        panel.stacking(StackingConfig().mode(StackingMode.NORMAL))
    if thresholds:
        panel.thresholds(limits(thresholds, below)).thresholds_style(
            GraphThresholdsStyleConfig().mode(GraphThresholdsStyleMode.DASHED)
        )
    return panel
