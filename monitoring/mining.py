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
    yield from _guest()


def _guest() -> Iterator[PanelBuilder]:
    """What mining does to the boxes."""
    yield graph(
        "Temperature",
        "Of each box's processor. A miner rests from its ceiling on (70 °C unless the box is set "
        "otherwise) until it is five degrees cooler; a Raspberry Pi slows down at 80 °C.",
        query(f"edgenode_miner_temperature_celsius{{{BOXES}}}", "{{instance}}"),
        unit=units.Celsius,
        axis="temperature",
    )
    yield graph(
        "Rest for heat",
        "The part of the last ten minutes in which a miner rested because its box was too warm. A "
        "box that often does stands in the sun, in the dust, or under a blanket.",
        query(f"rate(edgenode_miner_rested_seconds_total{{{BOXES}}}[10m])", "{{instance}}"),
        unit=units.PercentUnit,
        axis="part of the time",
    )
    yield graph(
        "Power for mining",
        "What hashing draws, added up: an estimate from the processor time that it takes and the "
        "watts that each box is set to.",
        query(f"rate(edgenode_miner_joules_total{{{BOXES}}}[10m])", "{{instance}}"),
        unit=units.Watt,
        axis="power",
        stacked=True,
    )
