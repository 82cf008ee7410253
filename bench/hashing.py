"""Hashes per second of the native kernel against hashlib and pycryptodome, and how fast the
miner's threads turn to new work.

    python bench/hashing.py [--seconds 2]

The three take turns in one process, so that load on the machine falls on all of them alike; CPU
time is counted, and the best of the turns. The second part measures, at several shares, the time
from new work until the last thread searches it, with a thread for each core.
"""

import argparse
import hashlib
import os
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from Crypto.Hash import SHA256

from edgenode.ledger.target import compress
from edgenode.ledger.template import Work
from edgenode.mining.searchers import Searchers
from edgenode.native import _kernels

HEADER = bytes(range(80))
NEVER = bytes(32)
TURNS = 5
CHANGES = 40


def with_hashlib(count: int) -> None:
    sha256, head = hashlib.sha256, HEADER[:76]
    midstate = sha256(head)  # what Python can keep of the work between two nonces
    for nonce in range(count):
        first = midstate.copy()
        first.update(nonce.to_bytes(4, "little"))
        sha256(first.digest()).digest()


def with_pycryptodome(count: int) -> None:
    head = HEADER[:76]
    midstate = SHA256.new(head)
    for nonce in range(count):
        first = midstate.copy()
        first.update(nonce.to_bytes(4, "little"))
        SHA256.new(first.digest()).digest()


def with_kernel(count: int) -> None:
    assert _kernels.search(HEADER, NEVER, 0, count) is None


def rate(search: Callable[[int], None], count: int) -> float:
    began = time.process_time()
    search(count)
    return count / (time.process_time() - began)


def hashing(seconds: float) -> None:
    contenders = {
        "edgenode kernel": with_kernel,
        "hashlib loop": with_hashlib,
        "pycryptodome loop": with_pycryptodome,
    }
    counts = {
        name: int(seconds / TURNS * rate(search, 20_000)) for name, search in contenders.items()
    }
    best = dict.fromkeys(contenders, 0.0)
    for _ in range(TURNS):
        for name, search in contenders.items():
            best[name] = max(best[name], rate(search, counts[name]))
    kernel = best["edgenode kernel"]
    print("SHA-256d of an 80-byte header, one thread, CPU time")
    for name, value in best.items():
        print(f"  {name:18} {value / 1e6:7.3f} MH/s   kernel / this = {kernel / value:6.2f}")


def turning(share: float, threads: int) -> list[float]:
    """Milliseconds from new work until the last thread has turned to it, for many changes."""
    work = Work(1, 1, bytes(32), bytes(5), bytes(73), (), 0, compress(1))
    turned: dict[bytes, dict[int, float]] = defaultdict(dict)

    def search(header: bytes, target: bytes, first: int, count: int) -> int | None:
        turned[header[4:36]].setdefault(threading.get_ident(), time.monotonic())
        return kernel(header, target, first, count)

    kernel, _kernels.search = _kernels.search, search
    searchers = Searchers(threads, share, lambda _: True)
    delays = []
    try:
        for number in range(CHANGES):
            previous = number.to_bytes(32, "little")
            began = time.monotonic()
            searchers.set_work(str(number), replace(work, previous=previous))
            while len(turned[previous]) < threads:
                time.sleep(0.0005)
            delays.append(1000 * (max(turned[previous].values()) - began))
            time.sleep(0.1)
    finally:
        searchers.stop()
        _kernels.search = kernel
    return delays


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2.0, help="CPU seconds of each contender")
    hashing(parser.parse_args().seconds)
    threads = os.cpu_count() or 1
    print(f"new work until the last of {threads} threads searches it, {CHANGES} changes, wall time")
    for share in (0.2, 1.0):
        delays = turning(share, threads)
        print(
            f"  share {share:3}: median {statistics.median(delays):5.1f} ms, "
            f"longest {max(delays):5.1f} ms (promised: 200 ms)"
        )


if __name__ == "__main__":
    main()
