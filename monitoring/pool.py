"""The row of Stratum pools: who mines for a box, what that brings, what is refused and why."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models import units

from edgenode.mining.stratum_events import Drop, Refusal
from monitoring.panels import BOXES, PanelBuilder, graph, query


def panels() -> Iterator[PanelBuilder]:
    """The row's panels."""
    yield graph(
        "Miners of the pool",
        "Miners that are connected to each box's pool, and boxes that mine for a pool (1 while "
        "they have one, 0 while they mine for their own node).",
        query(f"edgenode_miner_stratum_connections{{{BOXES}}}", "{{instance}} serves"),
        query(f"edgenode_miner_pool_connected{{{BOXES}}}", "{{instance}} mines for a pool"),
        unit=units.Short,
        axis="miners",
    )
    yield graph(
        "Hash rate of the pool",
        "What the shares of five minutes show of each pool's miners, added up. It does not count "
        "the box's own hashing.",
        query(f"edgenode_miner_stratum_hashes_per_second{{{BOXES}}}", "{{instance}}"),
        unit=units.HashesPerSecond,
        axis="hashes per second",
        stacked=True,
    )
    yield graph(
        "Shares taken",
        "Each minute by the pool of each box, and from each box that mines for a pool.",
        _each_minute("edgenode_miner_stratum_shares_total", "{{instance}} took"),
        _each_minute("edgenode_miner_pool_shares_total", "{{instance}} gave"),
        unit=units.Short,
        axis="shares per minute",
    )
    yield graph(
        "Shares refused",
        "Within an hour, by reason; docs/stratum.md says what to do about each. A few stale ones "
        "are normal. The last lines are what pools refused of boxes that mine for them.",
        *(
            _within_the_hour(f"edgenode_miner_stratum_refused_{reason}_total", _words(reason))
            for reason in Refusal
        ),
        _within_the_hour("edgenode_miner_pool_refused_total", "of this box"),
        unit=units.Short,
        axis="per hour",
    )
    yield graph(
        "Miners dropped",
        "Connections ended or turned away within an hour, by reason; docs/stratum.md says what "
        "each means, and the miner's log names the host.",
        *(
            _within_the_hour(f"edgenode_miner_stratum_dropped_{reason}_total", _words(reason))
            for reason in Drop
        ),
        unit=units.Short,
        axis="per hour",
    )
    yield graph(
        "Blocks of the pool",
        "Found by its miners within an hour and accepted by the node: signed by the box, paid to "
        "the miners by their shares.",
        _within_the_hour("edgenode_miner_stratum_blocks_total", "found"),
        unit=units.Short,
        axis="blocks per hour",
    )


def _each_minute(metric: str, legend: str) -> Dataquery:
    return query(f"60 * rate({metric}{{{BOXES}}}[5m])", legend)


def _within_the_hour(metric: str, what: str) -> Dataquery:
    return query(f"increase({metric}{{{BOXES}}}[1h])", f"{{{{instance}}}} {what}")


def _words(name: str) -> str:
    return name.replace("_", " ")
