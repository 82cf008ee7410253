"""How soon a miner works on a new head: from a block that a node takes to its miner's last thread.

    python -m bench.new_head [--blocks 40]

A node runs as a process of its own, the miner's service code in this one, with a thread for each
core. A block found here is handed in at the local API. The clock runs from before that request (so
it includes validating the block and flushing it to the disk) until the last thread searches on top
of it; beside it stands the time from the answer, when the block was durable and announced.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

from demo.ward import Ward, WardPlan
from edgenode.api.client import ApiError, NodeClient, NodeUnavailableError
from edgenode.api.shapes import Solution
from edgenode.mining.settings import MinerSettings
from edgenode.native import _kernels
from edgenode.services.miner import Miner

NEVER = bytes(32)
PAUSE = 0.002


class Watched:
    """The kernel, watched: when each thread first searched on each head. It finds nothing."""

    def __init__(self) -> None:
        self.turned: dict[bytes, dict[int, float]] = defaultdict(dict)
        self._kernel = _kernels.search

    def search(
        self, header: bytes, target: bytes, first: int, count: int, kernel: str = "portable", /
    ) -> int | None:
        del target
        on_head = self.turned[header[4:36]]
        on_head.setdefault(threading.get_ident(), time.monotonic())
        return self._kernel(header, NEVER, first, count, kernel)

    def wait(self, head: bytes, threads: int) -> float:
        """When the last of the threads turned to this head."""
        while len(self.turned[head]) < threads:
            time.sleep(PAUSE)
        return max(self.turned[head].values())


def hand_in(client: NodeClient, search: Watched) -> tuple[bytes, float, float]:
    """Find a block and hand it in: its id, when the request began, when the answer came."""
    message = client.work()
    assert message is not None
    extranonce = os.urandom(8)
    target = message.work.target_number.to_bytes(32, "little")
    nonce = search._kernel(message.work.header(extranonce, 0).encode(), target, 0, 1 << 32)  # noqa: SLF001
    assert nonce is not None
    began = time.monotonic()
    block = client.submit_solution(message.id, Solution(extranonce, nonce, message.work.time))
    return bytes.fromhex(block.id)[::-1], began, time.monotonic()


def measure(share: float, threads: int, blocks: int) -> tuple[list[float], list[float]]:
    """Milliseconds from the request, and from its answer, for so many blocks."""
    directory = Path(tempfile.mkdtemp(prefix="bench-"))
    plan = WardPlan(directory, people=[()], spacing=1, services=("gossip",), hash_rate=1e5)
    ward, watched = Ward(plan), Watched()
    _kernels.search = watched.search
    from_request, from_answer = [], []
    try:
        ward.start()
        client = ward.boxes[0].client
        answering(client)
        miner = Miner(client, MinerSettings(threads=threads, share=share, ceiling_celsius=110))
        threading.Thread(target=miner.run, daemon=True).start()
        for _ in range(blocks):
            head, began, answered = hand_in(client, watched)
            turned = watched.wait(head, threads)
            from_request.append(1000 * (turned - began))
            from_answer.append(1000 * (turned - answered))
            time.sleep(0.1)
        miner.stop()
    finally:
        ward.close()
        shutil.rmtree(directory)
        _kernels.search = watched._kernel  # noqa: SLF001
    return from_request, from_answer


def answering(client: NodeClient) -> None:
    """Wait until the node answers."""
    while True:
        try:
            client.head()
        except (NodeUnavailableError, ApiError):
            time.sleep(0.1)
        else:
            return


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--blocks", type=int, default=40)
    blocks = parser.parse_args().blocks
    threads = os.cpu_count() or 1
    print(f"a block handed in until the last of {threads} threads searches on it, {blocks} blocks")
    for share in (0.2, 1.0):
        from_request, from_answer = measure(share, threads, blocks)
        print(
            f"  share {share:3}: median {statistics.median(from_request):5.1f} ms, longest "
            f"{max(from_request):5.1f} ms; from the answer: median "
            f"{statistics.median(from_answer):5.1f} ms, longest {max(from_answer):5.1f} ms "
            "(promised: 200 ms)"
        )


if __name__ == "__main__":
    main()
