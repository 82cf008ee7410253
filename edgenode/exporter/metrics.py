"""Every metric: its name, type, labels and help, and where its samples come from.

Names and units follow Prometheus's conventions: counters end in _total, units are base units and
stand in the name. Nothing that identifies a patient, a sensor or another machine is a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from edgenode.api.report_values import REPORT_VALUES
from edgenode.api.shapes import AllTraffic, HeadModel, Status, Traffic, WardState
from edgenode.exporter.snapshot import Snapshot

Sample = tuple[tuple[str, ...], float]
"""Label values in the order of the metric's labels, and the value."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: Full name.
        help: One sentence.
        labels: Names of its labels.
        samples: Its samples in a snapshot; none if they are not known.
    """

    name: str
    help: str
    labels: tuple[str, ...]
    samples: Callable[[Snapshot], Iterable[Sample]]

    @property
    def kind(self) -> Literal["counter", "gauge"]:
        """The metric's type, by its name."""
        return "counter" if self.name.endswith("_total") else "gauge"


def _of_status(name: str, text: str, value: Callable[[Status], float]) -> Metric:
    def samples(snapshot: Snapshot) -> Iterable[Sample]:
        if snapshot.status is not None:
            yield (), value(snapshot.status)

    return Metric(f"edgenode_{name}", text, (), samples)


def _of_ward(name: str, text: str, value: Callable[[WardState], float | None]) -> Metric:
    def samples(snapshot: Snapshot) -> Iterable[Sample]:
        if snapshot.ward is not None and (known := value(snapshot.ward)) is not None:
            yield (), known

    return Metric(f"edgenode_{name}", text, (), samples)


def _of_models(name: str, text: str, value: Callable[[HeadModel], float]) -> Metric:
    def samples(snapshot: Snapshot) -> Iterable[Sample]:
        if snapshot.status is not None:
            for model in snapshot.status.head.models:
                yield (model.name,), value(model)

    return Metric(f"edgenode_model_{name}", text, ("model",), samples)


def _of_traffic(
    name: str, text: str, values: Callable[[Traffic], Iterable[tuple[str, float]]]
) -> Metric:
    def samples(snapshot: Snapshot) -> Iterable[Sample]:
        if snapshot.status is not None:
            traffic = snapshot.status.traffic
            for socket, counts in _sockets(traffic):
                for direction, value in values(counts):
                    yield (socket, direction), value

    return Metric(f"edgenode_gossip_{name}", text, ("socket", "direction"), samples)


def _sockets(traffic: AllTraffic) -> Iterable[tuple[str, Traffic]]:
    yield "sync", traffic.sync
    yield "broadcast", traffic.broadcast
    yield "discovery", traffic.discovery


def _dropped(snapshot: Snapshot) -> Iterable[Sample]:
    if snapshot.status is not None:
        for socket, counts in _sockets(snapshot.status.traffic):
            for reason, count in sorted(counts.dropped.items()):
                yield (socket, reason), count


def _messages(snapshot: Snapshot) -> Iterable[Sample]:
    if snapshot.status is not None:
        messages = snapshot.status.messages
        for direction, counts in (("sent", messages.sent), ("received", messages.received)):
            for kind, count in sorted(counts.items()):
                yield (kind, direction), count


def _resent(snapshot: Snapshot) -> Iterable[Sample]:
    if snapshot.status is not None:
        for kind, count in sorted(snapshot.status.messages.resent.items()):
            yield (kind,), count


def _last_adoption(snapshot: Snapshot) -> Iterable[Sample]:
    if snapshot.status is not None and snapshot.status.adoptions.last is not None:
        yield (), snapshot.status.adoptions.last


def _mempool(snapshot: Snapshot) -> Iterable[Sample]:
    if snapshot.status is not None:
        yield ("update",), snapshot.status.mempool.updates
        yield ("transfer",), snapshot.status.mempool.transfers
        yield ("endorsement",), snapshot.status.mempool.endorsements
        yield ("change",), snapshot.status.mempool.changes


def _refused(snapshot: Snapshot) -> Iterable[Sample]:
    if snapshot.status is not None:
        for rule, count in sorted(snapshot.status.refused.items()):
            yield (rule,), count


def _info(snapshot: Snapshot) -> Iterable[Sample]:
    if snapshot.status is not None:
        yield (snapshot.status.node, snapshot.status.ward, snapshot.status.version), 1


def _slowest(snapshot: Snapshot) -> Iterable[Sample]:
    measured = [peer.round_trip for peer in snapshot.peers if peer.round_trip is not None]
    if measured:
        yield (), max(measured)


def _longest_queue(snapshot: Snapshot) -> Iterable[Sample]:
    measured = [peer.queue for peer in snapshot.peers if peer.queue is not None]
    if measured:
        yield (), max(measured)


def _lossiest(snapshot: Snapshot) -> Iterable[Sample]:
    measured = [peer.loss for peer in snapshot.peers if peer.loss is not None]
    if measured:
        yield (), max(measured)


_WARD_METRICS: tuple[Metric, ...] = (
    _of_ward("ward_members", "Members of the ward.", lambda w: w.members),
    _of_ward(
        "ward_voters",
        "Members at the last final block: more than two thirds of them make blocks final.",
        lambda w: w.voters,
    ),
    _of_ward(
        "chain_final_timestamp_seconds", "The last final block's own time.", lambda w: w.final_time
    ),
    _of_ward(
        "chain_checkpoint_interval_blocks",
        "Blocks from checkpoint to checkpoint.",
        lambda w: w.checkpoint_interval,
    ),
    _of_ward(
        "chain_checkpoint_height",
        "Height of the last checkpoint that had an interval of blocks to be endorsed in.",
        lambda w: w.checkpoint,
    ),
    _of_ward(
        "chain_checkpoint_endorsements",
        "Voters who have endorsed that checkpoint.",
        lambda w: w.endorsed,
    ),
    _of_ward(
        "member_window_blocks",
        "Blocks by this node's member among the last of a share's window.",
        lambda w: w.blocks,
    ),
    _of_ward(
        "member_window_blocks_limit",
        "So many blocks a member may have there without a pause.",
        lambda w: w.blocks_limit,
    ),
    _of_ward(
        "member_resting",
        "Whether this node's member leaves the next block to others, having made its share.",
        lambda w: w.resting,
    ),
)

NODE_METRICS: tuple[Metric, ...] = (
    Metric(
        "edgenode_build_info",
        "Always 1; the label says which version the exporter is of.",
        ("version",),
        lambda snapshot: [((snapshot.version,), 1)],
    ),
    Metric(
        "edgenode_node_info",
        "Always 1 while the node answers; the labels say who it is.",
        ("node", "ward", "version"),
        _info,
    ),
    Metric(
        "edgenode_service_up",
        "Whether a service that the configuration asks for is at work: it reported within the "
        "last 15 seconds.",
        ("service",),
        lambda snapshot: [((name,), snapshot.is_up(name)) for name in snapshot.expected],
    ),
    _of_status("start_time_seconds", "When the gossip service started.", lambda s: s.started),
    _of_status(
        "clock_trusted",
        "Whether the node mines and signs by this box's clock.",
        lambda s: s.clock.trusted,
    ),
    _of_status("chain_height", "Height of the head.", lambda s: s.head.height),
    _of_status(
        "chain_best_header_height",
        "Height of the heaviest chain of headers, whose blocks may still be on their way.",
        lambda s: s.best_header_height,
    ),
    _of_status(
        "chain_kept_from_height",
        "Height from which this node keeps blocks and payloads; 0 for all.",
        lambda s: s.kept_from,
    ),
    _of_status(
        "chain_justified_height",
        "Height of the highest checkpoint that a quorum of members has endorsed.",
        lambda s: s.finality.justified,
    ),
    _of_status(
        "chain_final_height",
        "Height of the last final block: no reorganisation goes below it.",
        lambda s: s.finality.final,
    ),
    _of_status("chain_syncing", "Whether the node is catching up.", lambda s: s.syncing),
    _of_status("chain_head_timestamp_seconds", "The head's own time.", lambda s: s.head.time),
    _of_status(
        "chain_block_interval_seconds",
        "Time from the head's parent to the head.",
        lambda s: s.head.interval,
    ),
    _of_status(
        "chain_difficulty",
        "Expected hashes of the next block, relative to the easiest that genesis allows.",
        lambda s: s.head.difficulty,
    ),
    _of_status(
        "chain_expected_hashes",
        "Mean number of hashes of the next block.",
        lambda s: s.head.expected_hashes,
    ),
    _of_status(
        "chain_reorganisations_total",
        "Times the head moved to another branch.",
        lambda s: s.reorganisations,
    ),
    _of_status(
        "chain_blocks_mined_total",
        "Blocks made of nonces that this node's miners handed in.",
        lambda s: s.blocks_mined,
    ),
    _of_status(
        "member_enrolled",
        "Whether this node's key is a member's: else its blocks and updates are refused.",
        lambda s: s.enrolled,
    ),
    _of_status("member_balance_coins", "Coins of this node's member.", lambda s: s.balance),
    *_WARD_METRICS,
    _of_models("round", "Aggregations of the model so far.", lambda m: m.round),
    _of_models("block_updates", "Client updates in the head, by model.", lambda m: m.updates),
    _of_models(
        "block_examples", "Examples behind the updates in the head, by model.", lambda m: m.examples
    ),
    Metric(
        "edgenode_mempool_transactions", "Transactions that wait for a block.", ("kind",), _mempool
    ),
    _of_status("gossip_peers", "Nodes that this node talks to.", lambda s: s.peers),
    Metric(
        "edgenode_gossip_slowest_round_trip_seconds",
        "Longest round trip to a peer.",
        (),
        _slowest,
    ),
    Metric("edgenode_gossip_highest_loss_ratio", "Highest loss to a peer, 0 to 1.", (), _lossiest),
    Metric(
        "edgenode_gossip_longest_queue_seconds",
        "Longest time that chunks from a peer wait in queues on their way, as the last ones tell.",
        (),
        _longest_queue,
    ),
    _of_traffic(
        "datagrams_total",
        "Datagrams sent and received.",
        lambda t: (("sent", t.datagrams_sent), ("received", t.datagrams_received)),
    ),
    _of_traffic(
        "bytes_total",
        "Bytes of datagrams sent and received.",
        lambda t: (("sent", t.bytes_sent), ("received", t.bytes_received)),
    ),
    Metric(
        "edgenode_gossip_dropped_datagrams_total",
        "Datagrams received that led to nothing, by the reason (gossip.md).",
        ("socket", "reason"),
        _dropped,
    ),
    Metric(
        "edgenode_gossip_messages_total",
        "Messages sent, and received and taken in.",
        ("kind", "direction"),
        _messages,
    ),
    Metric(
        "edgenode_gossip_resent_total",
        "Messages that were said once more; of chunks, those asked for once more.",
        ("kind",),
        _resent,
    ),
    _of_status(
        "chain_adoptions_total",
        "Blocks that a peer had first and that became the head here.",
        lambda s: s.adoptions.count,
    ),
    _of_status(
        "chain_adoption_seconds_total",
        "What they took, each from the first word of it to its being the head.",
        lambda s: s.adoptions.seconds,
    ),
    Metric("edgenode_chain_last_adoption_seconds", "What the last one took.", (), _last_adoption),
    Metric(
        "edgenode_refused_total",
        "Transactions and blocks that were refused, by the rule that they violate.",
        ("rule",),
        _refused,
    ),
)

# Where the name of a value in a report lacks the unit that a metric's name must have.
_NAMES = {
    ("miner", "hash_rate"): "hashes_per_second",
    ("miner", "stratum_hash_rate"): "stratum_hashes_per_second",
    ("trainer", "accuracy"): "accuracy_ratio",
}


def _of_report(service: str, value: str, text: str) -> Metric:
    def samples(snapshot: Snapshot) -> Iterable[Sample]:
        # A time that was stays true, however old the report is.
        lasts = value.endswith("_timestamp_seconds")
        report = snapshot.reports.get(service) if lasts else snapshot.fresh(service)
        if report is not None and value in report.values:
            yield (), report.values[value]

    name = _NAMES.get((service, value), value)
    return Metric(f"edgenode_{service}_{name}", text, (), samples)


REPORT_METRICS: dict[tuple[str, str], Metric] = {
    (service, value): _of_report(service, value, text)
    for service, values in REPORT_VALUES.items()
    if service != "exporter"  # it need not ask the node how itself is
    for value, text in values.items()
} | {
    ("exporter", "scrapes_total"): Metric(
        "edgenode_exporter_scrapes_total",
        REPORT_VALUES["exporter"]["scrapes_total"],
        (),
        lambda snapshot: [((), snapshot.scrapes)],
    )
}
"""The metrics made of reports, by service and name of the value."""

METRICS: tuple[Metric, ...] = (*NODE_METRICS, *REPORT_METRICS.values())
