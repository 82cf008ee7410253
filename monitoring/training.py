"""The row of training: how good the shared model is, and who contributes."""

from __future__ import annotations

from collections.abc import Iterator

from grafana_foundation_sdk.models import units

from monitoring.panels import BOXES, RED, WARDS, PanelBuilder, graph, query


def panels() -> Iterator[PanelBuilder]:
    """The row's panels."""
    yield graph(
        "Accuracy of the shared model",
        "On windows of each box that nobody trains on. One box below the others has a patient or "
        "a sensor's place that the ward does not know; all falling together is an alert.",
        query(f"edgenode_trainer_accuracy_ratio{{{BOXES}}}", "{{instance}}"),
        query(f"ward:edgenode_trainer_accuracy_ratio:avg{{{WARDS}}}", "mean of ward {{ward}}"),
        unit=units.PercentUnit,
        axis="of windows recognised",
        highest=1,
    )
    yield graph(
        "Training loss",
        "Mean loss of the last local round. Falls while there is something to learn; a steep rise "
        "is a learning rate that is too high.",
        query(f"edgenode_trainer_loss{{{BOXES}}}", "{{instance}}"),
        query(f"ward:edgenode_trainer_loss:avg{{{WARDS}}}", "mean of ward {{ward}}"),
        unit=units.Short,
        axis="loss",
    )
    yield graph(
        "Updates submitted",
        "By each trainer within an hour. One a block is the most, 40 at a spacing of 90 s; none in "
        "a quarter of an hour is an alert.",
        query(f"increase(edgenode_trainer_updates_submitted_total{{{BOXES}}}[1h])", "{{instance}}"),
        unit=units.Short,
        axis="updates per hour",
    )
    yield graph(
        "Updates refused",
        "The part of an hour's updates that the box's own node refused: its key is not enrolled, "
        "or training is too slow for the ward.",
        query(f"instance:edgenode_trainer_updates_refused:ratio_rate1h{{{BOXES}}}", "{{instance}}"),
        unit=units.PercentUnit,
        axis="of submitted updates",
        thresholds=[(0.5, RED)],
        highest=1,
    )
    yield graph(
        "Counted in the newest block",
        "Client updates, and the examples behind them, that the newest block took up, by model.",
        query(
            f"max by (ward, model) (edgenode_model_block_updates{{{BOXES}}})",
            "{{ward}} {{model}}: updates",
        ),
        query(
            f"max by (ward, model) (edgenode_model_block_examples{{{BOXES}}})",
            "{{ward}} {{model}}: examples",
        ),
        unit=units.Short,
        axis="updates, examples",
    )
    yield graph(
        "Windows remembered",
        "Training windows in each box's reservoir. Grows with use up to `reservoir` of the "
        "configuration; at 0 a box cannot train.",
        query(f"edgenode_trainer_reservoir_windows{{{BOXES}}}", "{{instance}}"),
        unit=units.Short,
        axis="windows",
    )
