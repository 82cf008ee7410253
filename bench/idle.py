"""What a node with nothing to say costs: bytes and processor time in an hour.

    python -m bench.idle                             # wards of 2, 4 and 16 nodes, a minute each

Real gossip services on this machine, without miners, trainers and sensors: nothing happens but that
sessions are kept. After a minute of settling, bytes come from the local API (UDP payloads) and
processor time from /proc, and both are scaled to an hour; of all nodes the mean. Beside them stands
what one session costs, and the processor time over that of an asyncio loop of the same Python that
wakes up as often and does nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from demo.ward import Box, Ward, WardPlan
from edgenode.api.client import NodeUnavailableError
from edgenode.protocol.places import SOUGHT_PEERS

SETTLING = 60.0
HOUR = 3600.0


def processor_seconds(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def traffic(box: Box) -> tuple[int, int]:
    """Bytes and datagrams that a box has sent."""
    both = box.client.status().traffic
    sockets = (both.sync, both.broadcast, both.discovery)
    return sum(s.bytes_sent for s in sockets), sum(s.datagrams_sent for s in sockets)


def measure(nodes: int, seconds: float) -> tuple[float, float, float, float]:
    """Bytes, datagrams and processor seconds of a node in an hour, and its sessions."""
    with tempfile.TemporaryDirectory(prefix="idle-") as directory:
        plan = WardPlan(
            directory=Path(directory) / "w",
            people=[()] * nodes,
            services=("gossip",),
            hash_rate=1000.0,
        )
        ward = Ward(plan)
        try:
            ward.start()
            enough = min(nodes - 1, SOUGHT_PEERS)
            while not all(_has(box, enough) for box in ward.boxes):
                time.sleep(0.5)
            time.sleep(SETTLING)
            pids = [_process_of(ward, box) for box in ward.boxes]
            before = [(*traffic(box), processor_seconds(pid))
                      for box, pid in zip(ward.boxes, pids, strict=True)]  # fmt: skip
            began = time.monotonic()
            time.sleep(seconds)
            took = time.monotonic() - began
            after = [(*traffic(box), processor_seconds(pid))
                     for box, pid in zip(ward.boxes, pids, strict=True)]  # fmt: skip
            sessions = statistics.fmean(len(box.client.peers()) for box in ward.boxes)
        finally:
            ward.close()
    means = [
        statistics.fmean(b[i] - a[i] for a, b in zip(before, after, strict=True)) * HOUR / took
        for i in range(3)
    ]
    return means[0], means[1], means[2], sessions


def _process_of(ward: Ward, box: Box) -> int:
    process = ward.supervisor.unit(box.unit_name("gossip")).process
    assert process is not None, "it answers"
    return process.pid


def _has(box: Box, peers: int) -> bool:
    try:
        return len(box.client.peers()) >= peers
    except NodeUnavailableError:  # it is starting
        return False


def empty_loop(wakes: float, seconds: float) -> float:
    """Processor seconds in an hour of a loop that wakes up so often in an hour."""

    async def wake() -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:  # noqa: ASYNC110  (nothing happens)
            await asyncio.sleep(HOUR / wakes)

    before = time.process_time()
    asyncio.run(wake())
    return (time.process_time() - before) * HOUR / seconds


def main(arguments: Iterable[str] | None = None) -> int:
    """Run the wards and print the table; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.idle",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--nodes", nargs="*", type=int, default=[2, 4, 16])
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args(None if arguments is None else list(arguments))
    print("| nodes | sessions | kB sent an hour | for each session | datagrams an hour "
          "| processor s an hour | to an empty loop |")  # fmt: skip
    print("|---|---|---|---|---|---|---|")
    for nodes in options.nodes:
        sent, datagrams, used, sessions = measure(nodes, options.seconds)
        beside = empty_loop(2 * datagrams, min(20.0, options.seconds))
        print(f"| {nodes} | {sessions:.1f} | {sent / 1000:.0f} | {sent / 1000 / sessions:.0f} "
              f"| {datagrams:.0f} | {used:.1f} | {used / beside:.1f} |", flush=True)  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
