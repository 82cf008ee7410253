"""The row of the network: do the boxes reach each other, how well, what is turned away."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.models import units

from monitoring.panels import BOXES, RED, PanelBuilder, graph, query


def panels() -> Iterator[PanelBuilder]:
    """The row's panels."""
    yield graph(
        "Peers",
        "Boxes that each box talks to. 0 in a ward of several is an alert.",
        query(f"edgenode_gossip_peers{{{BOXES}}}", "{{instance}}"),
        unit=units.Short,
        axis="peers",
    )
    yield graph(
        "Slowest round trip",
        "To the slowest peer of each box. Milliseconds in one building.",
        query(f"edgenode_gossip_slowest_round_trip_seconds{{{BOXES}}}", "{{instance}}"),
        unit=units.Seconds,
        axis="time",
    )
    yield graph(
        "Highest loss",
        "To the peer with the highest loss. One box above the others has a bad cable or a bad "
        "place; `edgenode peers` tells the loss to each peer.",
        query(f"edgenode_gossip_highest_loss_ratio{{{BOXES}}}", "{{instance}}"),
        unit=units.PercentUnit,
        axis="of datagrams",
        thresholds=[(0.2, RED)],
        highest=1,
    )
    yield graph(
        "From the first word of a block to the head",
        "Mean of the last hour: pulling a block and its payloads, and validating them. A box far "
        "above the others is slow, or far away.",
        query(
            f"increase(edgenode_chain_adoption_seconds_total{{{BOXES}}}[1h]) "
            f"/ increase(edgenode_chain_adoptions_total{{{BOXES}}}[1h])",
            "{{instance}}",
        ),
        unit=units.Seconds,
        axis="time",
    )
    yield graph(
        "Longest queue",
        "How long chunks from a peer wait on their way to each box. Above 50 ms its pulls yield "
        "to other traffic.",
        query(f"edgenode_gossip_longest_queue_seconds{{{BOXES}}}", "{{instance}}"),
        unit=units.Seconds,
        axis="time",
    )
    yield graph(
        "Traffic",
        "Bytes of datagrams, all sockets together.",
        query(
            "sum by (instance, direction) "
            f"(rate(edgenode_gossip_bytes_total{{{BOXES}}}[$__rate_interval]))",
            "{{instance}} {{direction}}",
        ),
        unit=units.BytesPerSecondSI,
        axis="bytes per second",
    )
    yield graph(
        "Said again",
        "What was lost on its way and said or asked for once more, by kind of message.",
        query(
            "sum by (instance, kind) "
            f"(rate(edgenode_gossip_resent_total{{{BOXES}}}[$__rate_interval]))",
            "{{instance}} {{kind}}",
        ),
        unit=units.Short,
        axis="messages per second",
    )
    yield graph(
        "Datagrams turned away",
        "What led to nothing, by the reason (docs/gossip.md): another ward's box, a scanner, an "
        "attack. More than one a second for ten minutes is an alert.",
        query(
            "sum by (instance, reason) "
            f"(rate(edgenode_gossip_dropped_datagrams_total{{{BOXES}}}[$__rate_interval]))",
            "{{instance}} {{reason}}",
        ),
        unit=units.Short,
        axis="datagrams per second",
        thresholds=[(1, RED)],
    )
    yield graph(
        "Refused, and branches changed",
        "Within an hour: blocks and transactions that violate a rule, by rule, and times the head "
        "moved to another branch. A few stale updates are normal.",
        query(
            f"sum by (instance, rule) (increase(edgenode_refused_total{{{BOXES}}}[1h]))",
            "{{instance}} {{rule}}",
        ),
        query(
            f"increase(edgenode_chain_reorganisations_total{{{BOXES}}}[1h])",
            "{{instance}} branches changed",
        ),
        unit=units.Short,
        axis="per hour",
    )
