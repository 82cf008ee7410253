"""The values that each service reports, by name: what the services send and the exporter shows.

A name that ends in _total is a counter: it only grows, and begins at 0 when its service starts.
All others are gauges; a gauge that is not known yet is left out of the report.
"""

from __future__ import annotations

from collections.abc import Mapping

COLLECTOR_VALUES: Mapping[str, str] = {
    "notifications_total": "Notifications received from sensors, malformed ones included.",
    "samples_total": "New samples received.",
    "annotations_total": "Annotations received.",
    "streams_total": "Streams begun.",
    "gaps_total": "Places where samples are missing.",
    "missing_samples_total": "Samples missing in the gaps.",
    "malformed_total": "Notifications dropped because their bytes break the layout.",
    "duplicates_total": "Notifications dropped because their samples were received before.",
    "out_of_order_total": "Notifications dropped because they came after later ones.",
    "connection_failures_total": "Attempts to connect that did not end in streaming.",
    "reconnects_total": "Connections of a sensor after its first.",
    "connected_sensors": "Sensors that are streaming now.",
    "adapter_failures_total": "Times the Bluetooth adapter could not be used or was lost.",
    "stored_samples_total": "Samples whose commit was acknowledged by the disk.",
    "dropped_samples_total": "Samples given up because the store had no room for too long.",
    "store_errors_total": "Commits that failed.",
    "last_sample_timestamp_seconds": "When the last sample came, or the collector started.",
}

TRAINER_VALUES: Mapping[str, str] = {
    "windows_total": "Windows cut from the samples.",
    "reservoir_windows": "Windows remembered for training.",
    "damaged_records_total": "Records of the sample store that were skipped: they are damaged.",
    "misplaced_records_total": "Records left out because they do not fit their stream.",
    "rounds_total": "Local rounds trained.",
    "diverged_rounds_total": "Local rounds whose result was dropped: it was no finite number.",
    "steps_total": "Training steps taken.",
    "updates_submitted_total": "Client updates that the node accepted.",
    "updates_refused_total": "Client updates that the node refused.",
    "examples": "Distinct windows trained on in the last local round.",
    "loss": "Mean training loss of the last local round.",
    "accuracy": "Accuracy of the shared model on this node's held-out windows, 0 to 1.",
    "adopted_height": "Height of the block whose parameters are being trained on.",
}

MINER_VALUES: Mapping[str, str] = {
    "hashes_total": "Headers hashed.",
    "hash_rate": "Headers hashed per second, over the last ten seconds.",
    "blocks_found_total": "Blocks found that the node accepted.",
    "stale_total": "Blocks found after the head had moved on.",
    "refused_total": "Blocks found that violated a rule.",
    "temperature_celsius": "Temperature of the processor, or of the warmest part that is known.",
    "rested_seconds_total": "Time in which mining rested because the box was too warm.",
    "joules_total": "Energy spent on hashing, estimated from processor time and `[miner] watts`.",
    "joules_per_block": "The same for each block found that the node accepted.",
    "stratum_connections": "Miners that are connected to this node's pool.",
    "stratum_hash_rate": "Headers hashed per second by them, as their shares of five minutes show.",
    "stratum_shares_total": "Shares that the pool counted.",
    "stratum_blocks_total": "Blocks found by its miners that the node accepted.",
    "stratum_refused_malformed_total": "Requests refused: not of the form that they must have.",
    "stratum_refused_stale_total": "Shares refused: of a head that has moved on, or an old job.",
    "stratum_refused_duplicate_total": "Shares refused: sent before.",
    "stratum_refused_low_difficulty_total": "Shares refused: the hash is too high.",
    "stratum_refused_unauthorized_total": "Shares refused: of a worker that is not let in.",
    "stratum_refused_not_subscribed_total": "Shares refused: sent before mining.subscribe.",
    "stratum_dropped_malformed_total": "Connections ended: they speak no Stratum.",
    "stratum_dropped_flood_total": "Connections ended: too many requests.",
    "stratum_dropped_bad_shares_total": "Connections ended: too many worthless shares.",
    "stratum_dropped_slow_total": "Connections ended: they stall, or do not read.",
    "stratum_dropped_idle_total": "Connections ended: without a share for too long.",
    "stratum_dropped_full_total": "Connections refused: no place left, or none for that host.",
    "stratum_dropped_no_work_total": "Connections ended or refused: the node alone has no work.",
    "pool_connected": "Whether this box mines for another node's pool now.",
    "pool_switches_total": "Times that it began to mine for a pool.",
    "pool_shares_total": "Shares that the pools took from it.",
    "pool_refused_total": "Shares that the pools refused.",
}

GATEWAY_VALUES: Mapping[str, str] = {
    "boxes": "Boxes without a network that are linked now.",
    "refused_total": "Links of boxes that were not let in.",
    "to_boxes_total": "Datagrams carried to boxes.",
    "from_boxes_total": "Datagrams that boxes sent through this one.",
    "dropped_no_gossip_total": "Datagrams not carried: their form is that of no gossip.",
    "dropped_no_unicast_total": "Datagrams not carried: a box sent them where nobody's node is.",
    "dropped_unasked_total": "Datagrams not carried: too many from those not spoken to.",
    "dropped_no_link_total": "Datagrams not carried: the box's link was away.",
    "dropped_full_link_total": "Datagrams not carried: too many waited for the link.",
}

EXPORTER_VALUES: Mapping[str, str] = {
    "scrapes_total": "Scrapes answered.",
}

REPORT_VALUES: Mapping[str, Mapping[str, str]] = {
    "collector": COLLECTOR_VALUES,
    "trainer": TRAINER_VALUES,
    "miner": MINER_VALUES,
    "gateway": GATEWAY_VALUES,
    "exporter": EXPORTER_VALUES,
}
"""For each reporting service: the values of its report, with a sentence that says what each is."""
