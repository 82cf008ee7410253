"""The row of finality and members: does what is learned become final, who takes part."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.models import units

from monitoring.panels import BOXES, ORANGE, RED, WARDS, PanelBuilder, graph, query


def panels() -> Iterator[PanelBuilder]:
    """The row's panels."""
    yield graph(
        "Checkpoints that wait",
        "How far each box's head is above the last final block, in checkpoints. Two or three are "
        "normal; the red line, while blocks come, is an alert: too few members endorse.",
        query(
            f"instance:edgenode_chain_unfinal_checkpoints:ratio{{{BOXES}}}",
            "{{instance}}",
        ),
        unit=units.Short,
        axis="checkpoints",
        thresholds=[(6, RED)],
    )
    yield graph(
        "Age of the last final block",
        "By the block's own time. It climbs and falls back with each checkpoint that becomes "
        "final, about every twelve minutes where a block comes each 90 s.",
        query(f"time() - edgenode_chain_final_timestamp_seconds{{{BOXES}}}", "{{instance}}"),
        unit=units.Seconds,
        axis="time",
    )
    yield graph(
        "Voters who endorse",
        "Of the voters, who endorsed the last checkpoint that had time for it. More than two "
        "thirds must (the dashed line): otherwise nothing becomes final. Members who miss are "
        "asleep, cut off, or lost.",
        query(f"ward:edgenode_chain_checkpoint_endorsements:ratio{{{WARDS}}}", "{{ward}}"),
        unit=units.PercentUnit,
        axis="of the voters",
        thresholds=[(2 / 3, ORANGE)],
        highest=1,
    )
    yield graph(
        "Members, voters, endorsements",
        "Members of each ward now, members at the last final block (the voters), and how many of "
        "these endorsed. A member that is enrolled becomes a voter once that is final.",
        query(f"max by (ward) (edgenode_ward_members{{{BOXES}}})", "{{ward}} members"),
        query(f"max by (ward) (edgenode_ward_voters{{{BOXES}}})", "{{ward}} voters"),
        query(
            f"max by (ward) (edgenode_chain_checkpoint_endorsements{{{BOXES}}})",
            "{{ward}} endorsed",
        ),
        unit=units.Short,
        axis="members",
    )
    yield graph(
        "Part of a member's share",
        "Blocks of each box's member among the last ones, of as many as it may make without a "
        "pause. At the line it leaves the next block to others.",
        query(
            f"edgenode_member_window_blocks{{{BOXES}}}"
            f" / edgenode_member_window_blocks_limit{{{BOXES}}}",
            "{{instance}}",
        ),
        unit=units.PercentUnit,
        axis="of its share",
        thresholds=[(1, ORANGE)],
    )
    yield graph(
        "Rests because of its share",
        "1 while a box's miner has no work because its member has made its share of blocks. Often "
        "on one box: it hashes far more than the others, or they are off.",
        query(f"edgenode_member_resting{{{BOXES}}}", "{{instance}}"),
        unit=units.Short,
        axis="rests",
        highest=1,
    )
