"""How a block with its payloads comes from one node to fifteen others, beside QUIC and TCP.

    python -m bench.propagation                      # 0, 1, 5 and 20 % loss, 10 Mbit/s a host
    python -m bench.propagation --loss 0.01 --peers gossip tcp --megabits 5

The block has eight updates of the paper's image model, uncompressed: 3.9 MB. Each host is a network
namespace behind a link with a rate (tbf) and a loss of arriving packets (nftables). Three kinds of
peers bring the same bytes over the same network, one after the other: the gossip service itself,
whose nodes pull from each other; QUIC (aioquic, which is not among the project's dependencies: pip
install aioquic) and TCP, each with one connection from the source to every other host. Connections
and sessions stand before the clock starts.

Printed are the seconds until 90 % and all of the hosts have everything (for the gossip: have made
the block their head), and the bytes on all links, Ethernet headers included, over the least that is
needed: fifteen times the bytes of block and payloads. It needs root, iproute2 and nftables.
"""

from __future__ import annotations

import argparse
import math
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from bench.rated_network import RatedNetwork, rated_network
from bench.validation import prepare

KINDS = ("gossip", "quic", "tcp")
UPDATES = 8


@dataclass(frozen=True, slots=True)
class Outcome:
    """Seconds until each host had everything, ascending, and the bytes that it took."""

    seconds: list[float]
    bytes_sent: int

    def until(self, share: float, hosts: int) -> float:
        """Seconds until so many of the hosts had everything; infinite if they never had."""
        needed = math.ceil(share * hosts)
        return self.seconds[needed - 1] if len(self.seconds) >= needed else math.inf


class Hosts:
    """Processes on the hosts of a network, and the lines that they print."""

    def __init__(self, network: RatedNetwork, kind: str, case: Path) -> None:
        count = len(network.names)
        self._lines: queue.Queue[str] = queue.Queue()
        self.processes = []
        for n in range(count):
            command = [sys.executable, "-m", "bench.propagation_peer", kind, str(n), str(count)]
            process = network.start(n, *command, network.host(0), network.host(n), str(case))
            threading.Thread(target=self._listen, args=(process,), daemon=True).start()
            self.processes.append(process)

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self._lines.put(line)

    def go(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        process.stdin.write("go\n")

    def wait_for(self, word: str, count: int, seconds: float) -> list[str]:
        """So many lines that begin with this word, or fewer when the time is up."""
        found: list[str] = []
        deadline = time.monotonic() + seconds
        while len(found) < count and (left := deadline - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                break
            if line.startswith(word):
                found.append(line)
        return found

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


def turn(kind: str, network: RatedNetwork, case: Path, limit: float) -> Outcome:
    count = len(network.names)
    hosts = Hosts(network, kind, case)
    try:
        if len(hosts.wait_for("ready", count, 300)) < count:
            raise SystemExit(f"{kind}: the hosts do not reach each other")
        time.sleep(2)  # what was said to make sessions is not counted
        before, began = network.bytes_sent(), time.monotonic()
        hosts.go(hosts.processes[0])
        done = hosts.wait_for("done", count, limit)
        taken = network.bytes_sent() - before
    finally:
        hosts.close()
    times = sorted(float(line.split()[1]) - began for line in done)
    return Outcome(times[1:], taken)  # the source has it at once


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--loss", type=float, nargs="+", default=[0.0, 0.01, 0.05, 0.2])
    parser.add_argument("--megabits", type=float, default=10.0, help="rate of each link")
    parser.add_argument("--hosts", type=int, default=16)
    parser.add_argument("--peers", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--limit", type=float, default=600.0, help="seconds for each turn")
    arguments = parser.parse_args()
    case = prepare("cifar10", None, UPDATES, arguments.hosts)
    size = len(case.block) + sum(map(len, case.payloads))
    others = arguments.hosts - 1
    print(
        f"{size / 1e6:.2f} MB to {others} hosts, {arguments.megabits:g} Mbit/s each; "
        f"one copy takes {8 * size / 1e6 / arguments.megabits:.1f} s\n\n"
        "| loss | peer | 90 % (s) | all (s) | bytes / least | × gossip, all |\n"
        "|---|---|---|---|---|---|"
    )
    with tempfile.NamedTemporaryFile() as file:
        path = Path(file.name)
        path.write_bytes(pickle.dumps(case))
        for loss in arguments.loss:
            ours = math.nan
            for kind in arguments.peers:
                with rated_network(arguments.hosts, arguments.megabits, loss) as network:
                    outcome = turn(kind, network, path, arguments.limit)
                everybody = outcome.until(1.0, others)
                ours = everybody if kind == "gossip" else ours
                print(
                    f"| {100 * loss:g} % | {kind} | {outcome.until(0.9, others):.1f} | "
                    f"{everybody:.1f} | {outcome.bytes_sent / others / size:.3f} | "
                    f"{everybody / ours:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
