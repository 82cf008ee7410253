"""The row of mining and chain: does it advance, do all follow, who does the work."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.models import units

from monitoring.panels import BOXES, RED, WARDS, PanelBuilder, graph, query


def panels() -> Iterator[PanelBuilder]:
    """The row's panels."""
    yield graph(
        "Height",
        "Blocks of each box's chain. The lines of a ward lie on each other and rise.",
        query(f"edgenode_chain_height{{{BOXES}}}", "{{instance}}"),
        unit=units.Short,
        axis="blocks",
    )
    yield graph(
        "Blocks behind the ward",
        "How far a box's head is below the highest of its ward, and how many blocks it waits for "
        "whose headers it has. Short peaks are normal; the red line for 15 minutes is an alert.",
        query(f"instance:edgenode_chain_blocks_behind:diff{{{BOXES}}}", "{{instance}} behind"),
        query(
            f"edgenode_chain_best_header_height{{{BOXES}}} - edgenode_chain_height{{{BOXES}}}",
            "{{instance}} waits for",
        ),
        unit=units.Short,
        axis="blocks",
        thresholds=[(3, RED)],
    )
    yield graph(
        "Time between blocks",
        "Of the last six hours, which the difficulty holds at the ward's spacing, and of the "
        "newest block, which is luck.",
        query(f"ward:edgenode_chain_spacing_seconds:median6h{{{WARDS}}}", "{{ward}}, six hours"),
        query(
            f"max by (ward) (edgenode_chain_block_interval_seconds{{{BOXES}}})",
            "{{ward}}, newest block",
        ),
        unit=units.Seconds,
        axis="time",
    )
    yield graph(
        "Hash rate",
        "Of each box, added up. A box at 0 has no work: it catches up, or does not trust its "
        "clock.",
        query(f"edgenode_miner_hashes_per_second{{{BOXES}}}", "{{instance}}"),
        unit=units.HashesPerSecond,
        axis="hashes per second",
        stacked=True,
    )
    yield graph(
        "Hashes for the next block",
        "What the difficulty asks for on average. It follows the ward's hash rate within hours.",
        query(f"max by (ward) (edgenode_chain_expected_hashes{{{BOXES}}})", "{{ward}}"),
        unit=units.Short,
        axis="hashes",
    )
    yield graph(
        "Blocks found, and found in vain",
        "Within an hour: accepted, too late (stale), and refused. Many stale ones are a slow "
        "network; a refused one is a wrong clock or a fault.",
        query(
            f"increase(edgenode_miner_blocks_found_total{{{BOXES}}}[1h])", "{{instance}} accepted"
        ),
        query(f"increase(edgenode_miner_stale_total{{{BOXES}}}[1h])", "{{instance}} stale"),
        query(f"increase(edgenode_miner_refused_total{{{BOXES}}}[1h])", "{{instance}} refused"),
        unit=units.Short,
        axis="blocks per hour",
    )
