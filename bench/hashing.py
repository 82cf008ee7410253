"""Hashes per second of each native kernel against hashlib, pycryptodome and public miners.

    python -m bench.hashing [--seconds 2] [--minerd PROGRAM] [--cpuminer PROGRAM]

The programs are pooler's minerd and JayDDee's cpuminer-opt, built from their public sources; they
are named by the options or by EDGENODE_MINERD and EDGENODE_CPUMINER, and left out where not. The
contenders take turns, so that load on the machine falls on all of them alike; CPU time is counted,
and the best of the turns.
"""

import argparse
import functools
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from Crypto.Hash import SHA256

from bench import peer_miners
from edgenode.mining import kernels
from edgenode.native import _kernels

HEADER = bytes(range(80))
NEVER = bytes(32)
TURNS = 5
REPORTS = 2


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


def with_kernel(name: str, count: int) -> None:
    assert _kernels.search(HEADER, NEVER, 0, count, name) is None


def rate(search: Callable[[int], None], count: int) -> float:
    began = time.process_time()
    search(count)
    return count / (time.process_time() - began)


def hashing(seconds: float, miners: dict[str, Path]) -> dict[str, float]:
    """Hashes per CPU second of every contender, by name."""
    ours: dict[str, Callable[[int], None]] = {
        name: functools.partial(with_kernel, name) for name in kernels.RUNS_HERE
    }
    loops = {"hashlib": with_hashlib, "pycryptodome": with_pycryptodome}
    contenders = ours | loops
    counts = {
        name: int(seconds / TURNS * rate(search, 100_000 if name in ours else 20_000))
        for name, search in contenders.items()
    }
    best = dict.fromkeys((*ours, *miners, *loops), 0.0)
    for turn in range(TURNS):
        for name, search in contenders.items():
            best[name] = max(best[name], rate(search, counts[name]))
        if turn in {1, 3}:
            for name, program in miners.items():
                best[name] = max(best[name], peer_miners.rate(name, program, REPORTS))
    return best


def show(best: dict[str, float], miners: dict[str, Path]) -> None:
    peers = (*miners, "hashlib")
    print("SHA-256d of an 80-byte header, one thread, CPU time; ratios are row / column")
    print(f"  {'':18} {'MH/s':>8}" + "".join(f"{peer:>15}" for peer in peers))
    for name, value in best.items():
        shown = f"{name} (auto)" if name == kernels.fastest() else name
        ratios = "".join(f"{value / best[peer]:15.2f}" for peer in peers)
        print(f"  {shown:18} {value / 1e6:8.3f}{ratios}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=2.0, help="CPU seconds of each contender")
    for miner, option in zip(peer_miners.MINERS, ("minerd", "cpuminer"), strict=True):
        variable = f"EDGENODE_{option.upper()}"
        parser.add_argument(
            f"--{option}", type=Path, default=os.environ.get(variable), help=f"{miner}'s program"
        )
    arguments = parser.parse_args()
    named = {"minerd": arguments.minerd, "cpuminer-opt": arguments.cpuminer}
    miners = {name: program for name, program in named.items() if program is not None}
    show(hashing(arguments.seconds, miners), miners)


if __name__ == "__main__":
    main()
