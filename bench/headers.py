"""A year of headers, 350,400 of them, through a chain with its store, against hashing them alone.

    python -m bench.headers                       # 2000 headers at a time
    python -m bench.headers --at-once 14          # as many as a datagram holds
    python -m bench.headers --headers 35040

The headers are mined as a ward would: intervals at random around the spacing, the difficulty
following them, at targets that a few hashes meet. `validated` is everything from the bytes to the
disk: linkage, target form, ASERT, proof of work, median time past, fork choice, the transactions of
the store. The peer is the least that any validator does: hashlib's double SHA-256 of each header,
in the tightest loop that Python has. Both take turns in one process. The chain then joins at
the last block, as a box does that finds an old ward, and a child process opens the store as a start
does.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from struct import pack

from edgenode.cli.new_genesis import new_genesis
from edgenode.ledger.block import Block, sign_block
from edgenode.ledger.chain import Chain
from edgenode.ledger.difficulty import next_target
from edgenode.ledger.genesis import Genesis, Member
from edgenode.ledger.hashes import sha256d
from edgenode.ledger.header import HEADER_BYTES, HEADER_VERSION, Header
from edgenode.ledger.joining import Snapshot
from edgenode.ledger.keys import MemberKey
from edgenode.ledger.merkle import merkle_root
from edgenode.ledger.records import PlainRecords, state_root
from edgenode.ledger.target import compress, expand
from edgenode.ledger.transaction import Coinbase, holds_state_root, leaf
from edgenode.ledger.validation import genesis_records
from edgenode.native import _kernels
from edgenode.storage.chain import SqliteChainStore
from edgenode.tasks.registry import find_task

YEAR = 350_400
MODEL = "activity"
TURNS = 3
MINER = MemberKey((1).to_bytes(32))
EASY = 16
"""Hashes that a header takes on average."""


def genesis_of_the_ward() -> Genesis:
    return new_genesis(
        name="bench",
        time=1_700_000_000,
        members=[Member("m", MINER.public.hex())],
        models=[MODEL],
        hash_rate=EASY / 90,
    )


def mined(genesis: Genesis, count: int, last: Coinbase) -> bytes:
    """Valid headers on genesis, 80 bytes each; the last one's block has only this coinbase."""
    rng = random.Random(1)  # noqa: S311  (the same headers each time)
    aim = (1 << 256) // EASY
    header = genesis.block.header
    parent, before, parent_time = header.id, header.time, header.time
    target = genesis.target_start
    headers = bytearray()
    for number in range(count):
        if number:
            target = compress(
                next_target(
                    expand(target),
                    genesis.limit,
                    parent_time - before,
                    genesis.spacing,
                    genesis.half_life,
                )
            )
        # The time that the ward takes for this target, as it falls out.
        mean = genesis.spacing * aim / expand(target)
        moment = parent_time + max(1, round(rng.expovariate(1 / mean)))
        root = number.to_bytes(32) if number < count - 1 else merkle_root([leaf(last)])
        draft = pack("<I32s32sIII", HEADER_VERSION, parent, root, moment, target, 0)
        nonce = _kernels.search(draft, expand(target).to_bytes(32, "little"), 0, 1 << 32)
        assert nonce is not None
        draft = draft[:-4] + nonce.to_bytes(4, "little")
        headers += draft
        before, parent_time, parent = parent_time, moment, sha256d(draft)
    return bytes(headers)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of the processor, and of the clock on the wall."""

    cpu: float
    wall: float


def cost(action: Callable[[], object]) -> Cost:
    cpu, wall = time.process_time(), time.perf_counter()
    action()
    return Cost(time.process_time() - cpu, time.perf_counter() - wall)


def hash_alone(headers: list[bytes]) -> None:
    sha256 = hashlib.sha256
    for header in headers:
        sha256(sha256(header).digest()).digest()


def validate(path: Path, genesis: Genesis, headers: bytes, at_once: int) -> None:
    store = SqliteChainStore(path, genesis.id)
    chain = Chain(genesis, (find_task(MODEL).genesis_parameters(),), store)
    step = at_once * HEADER_BYTES
    for start in range(0, len(headers), step):
        taken = chain.add_headers(headers[start : start + step], 1 << 32)
        assert taken.fault is None, taken.fault
    assert chain.best_header().height == len(headers) // HEADER_BYTES
    store.close()


def join(path: Path, genesis: Genesis, raw: bytes, coinbase: Coinbase) -> None:
    """Make the last block the head, with the state of a ward in which nothing was done."""
    parameters = (find_task(MODEL).genesis_parameters(),)
    store = SqliteChainStore(path, genesis.id)
    chain = Chain(genesis, parameters, store)
    header = Header.decode(raw)
    block = Block(header, sign_block(header, MINER, genesis.id), (coinbase,))
    entry = chain.add_block(block, 1 << 32)
    records = genesis_records(genesis)
    root = state_root(PlainRecords(records))
    chain.join_at(Snapshot(entry, root, records, coinbase.models, parameters))
    store.close()


START = """
import json, resource, sys, time
from pathlib import Path
from bench.headers import MODEL, genesis_of_the_ward
from edgenode.ledger.chain import Chain
from edgenode.storage.chain import SqliteChainStore
from edgenode.tasks.registry import find_task
genesis, parameters = genesis_of_the_ward(), (find_task(MODEL).genesis_parameters(),)
genesis.id
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
before, cpu, wall = resident(), time.process_time(), time.perf_counter()
store = SqliteChainStore(Path(sys.argv[1]), genesis.id)
chain = Chain(genesis, parameters, store)
best = chain.head
opened = time.perf_counter() - wall, time.process_time() - cpu, resident() - before
wall = time.perf_counter()
found = chain.tree.get(bytes.fromhex(sys.argv[2]))
looked = time.perf_counter() - wall
print(json.dumps([best.height, found.height, *opened, looked, resident() - before]))
"""


def start(path: Path, middle: bytes) -> list[float]:
    """What a start finds and takes, from a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", START, path, middle.hex()],
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.headers", description=__doc__)
    parser.add_argument("--headers", type=int, default=YEAR)
    parser.add_argument("--at-once", type=int, default=2000)
    options = parser.parse_args()
    genesis = genesis_of_the_ward()
    models = genesis.block.coinbase.models
    state = bytes(32) if holds_state_root(options.headers) else b""
    last = Coinbase(options.headers, bytes(8), MINER.public, (), models, state)
    headers = mined(genesis, options.headers, last)
    each = [headers[i : i + HEADER_BYTES] for i in range(0, len(headers), HEADER_BYTES)]
    with tempfile.TemporaryDirectory() as directory:
        hashed, validated = [], []
        for turn in range(TURNS):
            path = Path(directory) / f"chain-{turn}.db"
            hashed.append(cost(partial(hash_alone, each)))
            validated.append(cost(partial(validate, path, genesis, headers, options.at_once)))
        print(f"{options.headers} headers, {options.at_once} at a time; seconds, best of {TURNS}")
        for kind in ("cpu", "wall"):
            alone = min(getattr(turn, kind) for turn in hashed)
            whole = min(getattr(turn, kind) for turn in validated)
            print(f"  {kind:4}  hashed {alone:.3f}  validated {whole:.3f}  {whole / alone:.2f}")
        size = path.stat().st_size
        join(path, genesis, headers[-HEADER_BYTES:], last)
        print(f"store {size / 1e6:.1f} MB, {size / len(each):.0f} bytes a header")
        middle = sha256d(each[len(each) // 2])
        height, found, wall, cpu, memory, looked, after = start(path, middle)
        print(
            f"start at height {height:.0f}: {wall:.3f} s, CPU {cpu:.3f} s, {memory / 2**20:.1f} MiB"
        )
        print(
            f"first look-up by id, of height {found:.0f}: {looked:.3f} s, "
            f"{after / 2**20:.1f} MiB then"
        )


if __name__ == "__main__":
    main()
