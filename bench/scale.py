"""How a ward's network grows: blocks and updates among 100 to 10,000 simulated nodes.

    python -m bench.scale                                  # 100, 300 and 1,000 nodes
    python -m bench.scale --nodes 100 1000 10000 --plot docs/scale.png

The nodes are the product's protocol code (edgenode.protocol) under a virtual clock; each knows one
seed. Datagrams take 1 to 20 ms and one in a hundred is lost. When all sessions stand, eight members
train, a block counts their updates, and so on for some rounds. Printed, for each number of nodes:

- the seconds from a block's being mined to its being the head of 50, 99 and 100 % of the nodes, the
  slowest round of all;
- announcements that a node got for each block and update that it took from others (1 is the least);
- sessions of a node, mean and most; and the most steps from one node to another;
- bytes that a node sent in a round: in the mean, and the one that sent most; and in a quiet minute.

Growth is told by the last column: seconds to 99 % over the logarithm of the number of nodes, over
that of the first line. No more than 1 is no worse than logarithmic. A ward has at most 4096
members; here 64 are, and the network takes every node for one.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgenode.learning.update_codec import Codec
from edgenode.ledger.keys import MemberKey
from edgenode.protocol.events import HeadMoved
from edgenode.protocol.node import Node
from edgenode.protocol.roles import Role, Roles
from edgenode.protocol.wire import Socket
from edgenode.sim.ward import Box, Conditions, Ward

MEMBERS = 64
UPDATES = 8
SETTLING = 90.0
"""Seconds until the sessions stand: newcomers leave their seed after a minute."""

ROUND = 60.0
PATIENCE = 300.0


class _AllMembers(Roles):
    """Takes every key for a member's."""

    def of(self, key: bytes) -> Role:
        del key
        return Role.MEMBER


class ScaleNode(Node):
    """A node that has a session with anybody as with a member."""

    def _make_roles(self) -> Roles:
        return _AllMembers(self.chain)


class Crowd(Ward):
    """A ward of very many boxes, of which a few mine and train when they are told to."""

    def __init__(self, boxes: int, seed: int) -> None:
        self.adopted: dict[bytes, list[float]] = {}
        conditions = Conditions(loss=0.01, parameters=2000, codec=Codec.INT8)
        super().__init__(boxes, seed, conditions)

    def _keys(self, boxes: int) -> list[MemberKey]:
        return [MemberKey((i + 1).to_bytes(32)) for i in range(boxes)]

    def _members(self, keys: list[MemberKey]) -> list[MemberKey]:
        return keys[:MEMBERS]

    def _node_class(self, box: Box) -> type[Node]:
        del box
        return ScaleNode

    def _schedule_block(self, box: Box) -> None:
        """Blocks are found when the bench says so."""

    def _schedule_training(self, box: Box) -> None:
        """Updates are made when the bench says so."""

    def _after(self, box: Box) -> None:
        super()._after(box)
        for event in box.events:
            if isinstance(event, HeadMoved):
                self.adopted.setdefault(event.change.new.id, []).append(self.now)
        box.events.clear()


@dataclass(frozen=True, slots=True)
class Figures:
    """What a number of nodes came to."""

    nodes: int
    to_half: float
    to_most: float
    to_all: float
    blocks_heard: float
    updates_heard: float
    sessions: float
    most_sessions: int
    steps: int
    bytes_mean: float
    bytes_most: int
    bytes_idle: float
    took: float


def measure(nodes: int, rounds: int, seed: int) -> Figures:
    """Let a ward of so many nodes work for some rounds."""
    began = time.perf_counter()
    ward = Crowd(nodes, seed)
    rng = random.Random(seed)  # noqa: S311  (no secret)
    ward.run(SETTLING)
    before = sent(ward)
    ward.run(ROUND)
    idle = statistics.fmean(map(int.__sub__, sent(ward), before)) * 60 / ROUND
    heard = {kind: received(ward, kind) for kind in ("new_block", "new_transaction")}
    before = sent(ward)
    halves, mosts, alls = [], [], []
    for _ in range(rounds):
        miner, *trainers = rng.sample(ward.boxes[: min(MEMBERS, nodes)], 1 + UPDATES)
        for box in trainers:
            update, payload = ward.update(box, box.running.chain.head.id)
            box.running.submit_update(update, payload, ward.instant_of(box))
            ward._after(box)  # noqa: SLF001
        if not ward.run_until(partial(_has_all, miner), PATIENCE):
            raise RuntimeError(f"{nodes} nodes: the updates did not reach the miner")
        ward.run(ROUND / 2)
        start = ward.now
        ward.mine_now(miner)
        head = miner.running.chain.head.id
        if not ward.run_until(partial(_have_all, ward, head), PATIENCE):
            raise RuntimeError(f"{nodes} nodes: {len(ward.adopted[head])} have the block")
        times = sorted(ward.adopted[head])
        halves.append(times[math.ceil(nodes / 2) - 1] - start)
        mosts.append(times[math.ceil(0.99 * nodes) - 1] - start)
        alls.append(times[-1] - start)
        ward.run(ROUND / 2)
    each = [now - then for now, then in zip(sent(ward), before, strict=True)]
    taken = {"new_block": rounds * (nodes - 1), "new_transaction": rounds * UPDATES * (nodes - 1)}
    copies = {kind: (received(ward, kind) - heard[kind]) / taken[kind] for kind in heard}
    sessions = [len(box.running.links.peers) for box in ward.boxes]
    return Figures(
        nodes=nodes,
        to_half=max(halves),
        to_most=max(mosts),
        to_all=max(alls),
        blocks_heard=copies["new_block"],
        updates_heard=copies["new_transaction"],
        sessions=statistics.fmean(sessions),
        most_sessions=max(sessions),
        steps=steps(ward),
        bytes_mean=statistics.fmean(each) / rounds,
        bytes_most=max(each) // rounds,
        bytes_idle=idle,
        took=time.perf_counter() - began,
    )


def _has_all(miner: Box) -> bool:
    return len(miner.running.mempool.ids()) >= UPDATES


def _have_all(ward: Crowd, head: bytes) -> bool:
    return len(ward.adopted[head]) == len(ward.boxes)


def sent(ward: Ward) -> list[int]:
    """Bytes that each box has sent."""
    kinds = (Socket.SYNC, Socket.BROADCAST)
    return [sum(b.running.links.traffic[k].bytes_sent for k in kinds) for b in ward.boxes]


def received(ward: Ward, kind: str) -> int:
    """Messages of a kind that all boxes have got."""
    return sum(box.running.links.counts.received[kind] for box in ward.boxes)


def steps(ward: Ward) -> int:
    """The most sessions in a row between the first box and another one.

    Raises:
        RuntimeError: a box cannot be reached at all.
    """
    number = {box.host: box.index for box in ward.boxes}
    far = {0: 0}
    queue = deque([0])
    while queue:
        here = queue.popleft()
        for peer in ward.boxes[here].running.links.peers.values():
            there = number[peer.address.host]
            if there not in far:
                far[there] = far[here] + 1
                queue.append(there)
    if len(far) < len(ward.boxes):
        raise RuntimeError(f"{len(ward.boxes) - len(far)} nodes are cut off")
    return max(far.values())


def plot(figures: list[Figures], path: Path) -> None:
    """Draw seconds and bytes over the number of nodes."""
    import matplotlib as mpl  # noqa: PLC0415  (only who plots needs it)

    mpl.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    nodes = [each.nodes for each in figures]
    _, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4))
    for name, values in (
        ("50 %", [f.to_half for f in figures]),
        ("99 %", [f.to_most for f in figures]),
        ("all", [f.to_all for f in figures]),
    ):
        left.semilogx(nodes, values, "o-", label=name)
    left.set(xlabel="nodes", ylabel="seconds from mined to head", ylim=(0, None))
    left.legend()
    for name, values in (
        ("mean", [f.bytes_mean / 1000 for f in figures]),
        ("most", [f.bytes_most / 1000 for f in figures]),
    ):
        right.loglog(nodes, values, "o-", label=name)
    right.set(xlabel="nodes", ylabel="kB sent by a node in a round")
    right.legend()
    pyplot.tight_layout()
    pyplot.savefig(path, dpi=100)


def main(arguments: Iterable[str] | None = None) -> int:
    """Run the wards and print the table; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.scale",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--nodes", nargs="*", type=int, default=[100, 300, 1000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args(None if arguments is None else list(arguments))
    print("| nodes | 50 % (s) | 99 % | all | block heard | update heard | sessions | most | steps "
          "| kB a round | most | idle kB/min | took (s) | 99 % / log, to first |")  # fmt: skip
    print("|" + "---|" * 14)
    figures: list[Figures] = []
    for nodes in options.nodes:
        f = measure(nodes, options.rounds, options.seed)
        figures.append(f)
        first = figures[0]
        growth = f.to_most / math.log(f.nodes) / (first.to_most / math.log(first.nodes))
        print(f"| {f.nodes} | {f.to_half:.2f} | {f.to_most:.2f} | {f.to_all:.2f} "
              f"| {f.blocks_heard:.2f} | {f.updates_heard:.2f} | {f.sessions:.1f} "
              f"| {f.most_sessions} | {f.steps} | {f.bytes_mean / 1000:.1f} "
              f"| {f.bytes_most / 1000:.1f} | {f.bytes_idle / 1000:.1f} | {f.took:.0f} "
              f"| {growth:.2f} |", flush=True)  # fmt: skip
    if options.plot:
        plot(figures, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
