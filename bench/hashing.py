"""Hashes per second of the native kernel against hashlib and pycryptodome.

    python -m bench.hashing [--seconds 2]

The three take turns in one process, so that load on the machine falls on all of them alike; CPU
time is counted, and the best of the turns.
"""

import argparse
import hashlib
import time
from collections.abc import Callable

from Crypto.Hash import SHA256

from edgenode.native import _kernels

HEADER = bytes(range(80))
NEVER = bytes(32)
TURNS = 5


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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2.0, help="CPU seconds of each contender")
    hashing(parser.parse_args().seconds)


if __name__ == "__main__":
    main()
