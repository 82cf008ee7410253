"""docs/metrics.md, made from the metrics themselves.

python -m edgenode.exporter.manual > docs/metrics.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from edgenode.exporter.metrics import NODE_METRICS, REPORT_METRICS, Metric

_HEAD = """\
# Metrics

`edgenode-exporter` answers Prometheus at `http://127.0.0.1:9464/metrics` (`[exporter] listen`
in the configuration). At each scrape it asks the node through the local API, so it holds nothing
that could be out of date. A metric that is not known is left out; a node that does not answer is
`edgenode_service_up{service="gossip"} 0`, and the scrape still succeeds.

No label names a patient, a sensor or another machine.

For Prometheus on the same machine:

```yaml
scrape_configs:
  - job_name: edgenode
    static_configs:
      - targets: ["127.0.0.1:9464"]
```

This file is made by `python -m edgenode.exporter.manual`.

## Of the node

"""

_REPORTS = """
## Of the services

Each service reports to the local API every second (`PUT /v1/services/{name}`): a state and the
values below, by these names. A value whose name ends in `_total` begins at 0 when its service
starts. When a service has not reported for 15 seconds, its metrics are left out, but for those
whose name ends in `_timestamp_seconds`: when something was remains true.

The configuration asks for a collector, a trainer or a miner by its table; a miner that runs
without one hashes with the defaults, and `edgenode_service_up` does not show it. The gossip
service and the exporter are always asked for. A service whose own loop hangs does not report.

"""

_ALERTS = """
## Worth an alarm

| expression | what has happened |
|---|---|
| `edgenode_service_up == 0` for a minute | a service is down or hangs |
| `time() - edgenode_collector_last_sample_timestamp_seconds > 60` | no sensor delivers |
| `increase(edgenode_trainer_diverged_rounds_total[1h]) > 0` | training diverges |
| `increase(edgenode_trainer_damaged_records_total[1h]) > 0` | the disk loses what was written |
| `increase(edgenode_collector_dropped_samples_total[5m]) > 0` | the disk is full or failing |
| `time() - edgenode_chain_head_timestamp_seconds > 1800` | the ward makes no blocks |
| `edgenode_gossip_peers == 0` for five minutes | the node is alone |

On a ward of one node leave the peers alarm out.
"""


def manual() -> str:
    """The text of docs/metrics.md."""
    node = _table(
        ("metric", "type", "labels", "what it is"),
        ((f"`{m.name}`", m.kind, _labels(m), m.help) for m in NODE_METRICS),
    )
    reports = _table(
        ("service", "value in the report", "metric", "type", "what it is"),
        (
            (service, f"`{value}`", f"`{m.name}`", m.kind, m.help)
            for (service, value), m in REPORT_METRICS.items()
        ),
    )
    return _HEAD + node + _REPORTS + reports + _ALERTS


def _labels(metric: Metric) -> str:
    return ", ".join(f"`{label}`" for label in metric.labels)


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.stdout.write(manual())
