"""What it costs to take in and validate a block of many updates, part by part, against two peers.

    python -m bench.validation                              # 64 updates of the paper's image model
    python -m bench.validation --model activity --updates 1 16 64
    python -m bench.validation --parameters 4194304 --updates 16 64 --turns 3

In each turn a fresh chain with its SQLite file takes in the bytes of a block (`Chain.add_block`),
its payloads (`add_payload`) and makes it the head (`advance`), all by the code that a node runs;
what is measured wraps the functions of that code. The time of a part is what its functions take
without those of other parts that they call. Every payload is hashed twice: as it arrives, and in
validation, as the disk may have altered it.

The peers, in the same turn, are the least that any validator does: hashlib's SHA-256 of each
payload, and one pass over them in which numpy copies each payload's bytes to a buffer of their
size: every byte is read once and written once, and none is looked at. Aggregation, from a payload's
bytes to the new parameters, is set against that pass twice: both alone, payload after payload; and
both amid the rest, where each payload is read from the store and hashed first, which drives sums
and buffer out of the nearer caches.

The memory is that of a process of its own, which opens a store that has the block and its payloads
and makes it the head: how far its resident memory (SQLite's included) rises above what it was
before.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial, wraps
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from edgenode.cli.new_genesis import new_genesis
from edgenode.learning import update_codec
from edgenode.learning.aggregation import DISCOUNT_ONE, FedAvg
from edgenode.learning.fixed_point import Fixed, to_bytes
from edgenode.learning.update_codec import Codec
from edgenode.ledger import block as block_module
from edgenode.ledger import chain as chain_module
from edgenode.ledger import keys, validation
from edgenode.ledger import transaction as transaction_module
from edgenode.ledger.block import Block
from edgenode.ledger.chain import Chain
from edgenode.ledger.genesis import Genesis, Member
from edgenode.ledger.hashes import content_id
from edgenode.ledger.header_intake import HeaderIntake
from edgenode.ledger.keys import SIGNATURE_BYTES, MemberKey
from edgenode.ledger.target import meets
from edgenode.ledger.template import build_template
from edgenode.ledger.transaction import EXTRANONCE_BYTES, Update
from edgenode.storage.chain import SqliteChainStore
from edgenode.tasks.registry import find_task

EXAMPLES = 300
NOW = 1 << 32

FORM = "header and form"
SIGNATURES = "signatures"
ARRIVAL = "content ids on arrival"
AGAIN = "content ids in validation"
DECODING = "decoding"
AGGREGATION = "aggregation"
ROOT = "root of the new parameters"
WRITING = "store: writing"
READING = "store: reading"
REST = "all else"
PARTS = (FORM, SIGNATURES, ARRIVAL, AGAIN, DECODING, AGGREGATION, ROOT, WRITING, READING, REST)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of the processor, and of the clock on the wall."""

    cpu: float = 0
    wall: float = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.cpu + other.cpu, self.wall + other.wall)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.cpu - other.cpu, self.wall - other.wall)


def now() -> Cost:
    return Cost(time.process_time(), time.perf_counter())


class Watch:
    """Sums up what functions take, without what other watched functions take in them."""

    def __init__(self) -> None:
        self.spent: dict[str, Cost] = {}
        self._within = [Cost()]

    def watched(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, with its time counted for a part."""

        @wraps(function)
        def timed(*args: object, **named: object) -> object:
            began = now()
            self._within.append(Cost())
            try:
                return function(*args, **named)
            finally:
                whole, within = now() - began, self._within.pop()
                self._within[-1] += whole
                self.spent[part] = self.spent.get(part, Cost()) + whole - within

        return timed


def watched_functions() -> Iterator[tuple[object, str, str]]:
    """Where the functions of the parts are looked up when they are called."""
    yield Block, "decode", FORM
    yield HeaderIntake, "check", FORM
    yield HeaderIntake, "take", FORM
    yield chain_module, "check_form", FORM
    yield block_module, "verify", SIGNATURES
    yield transaction_module, "verify", SIGNATURES
    yield chain_module, "content_id", ARRIVAL
    yield validation, "check_payload", AGAIN
    yield update_codec, "decode", DECODING
    yield FedAvg, "__init__", AGGREGATION
    yield FedAvg, "add", AGGREGATION
    yield FedAvg, "result", AGGREGATION
    yield validation.Aggregate, "result", ROOT
    for name, member in vars(SqliteChainStore).items():
        if inspect.isfunction(member) and not name.startswith("_"):
            writes = name in ("add_block", "add_payload", "switch")
            yield SqliteChainStore, name, WRITING if writes else READING


@contextmanager
def watching() -> Iterator[Watch]:
    """Have the functions of the parts watched."""
    watch = Watch()
    before = [(at, name, vars(at)[name]) for at, name, _ in watched_functions()]
    for at, name, part in list(watched_functions()):
        original = vars(at)[name]
        if isinstance(original, classmethod):
            setattr(at, name, classmethod(watch.watched(part, original.__func__)))
        else:
            setattr(at, name, watch.watched(part, original))
    try:
        yield watch
    finally:
        for at, name, original in before:
            setattr(at, name, original)


@dataclass(frozen=True, slots=True)
class Case:
    """A ward whose genesis awaits one block, and that block with its payloads."""

    genesis: Genesis
    initial: Fixed
    block: bytes
    payloads: list[bytes]

    def chain(self, path: Path) -> Chain:
        return Chain(self.genesis, (self.initial,), SqliteChainStore(path, self.genesis.id))

    def take_in(self, chain: Chain) -> None:
        chain.add_block(Block.decode(self.block), NOW)
        for payload in self.payloads:
            chain.add_payload(payload)

    def validate(self, chain: Chain) -> None:
        """Take in the block and its payloads, and make it the head."""
        self.take_in(chain)
        change, refusals = chain.advance()
        assert change is not None, refusals
        assert change.new.height == 1


def prepare(model: str, parameters: int | None, count: int, members_count: int = 1) -> Case:
    """A block with `count` updates, each of another member.

    `parameters`: the ward's model has so many, instead of the task's. The ward has
    `members_count` members, at least as many as updates.
    """
    members = [MemberKey((i + 1).to_bytes(32)) for i in range(max(members_count, count))]
    genesis = new_genesis(
        name="bench",
        time=1_700_000_000,
        members=[Member(f"m{i}", key.public.hex()) for i, key in enumerate(members)],
        models=[model],
        hash_rate=0.1,
    )
    initial = find_task(model).genesis_parameters()
    if parameters is not None:
        initial = np.zeros(parameters, np.int32)
        root = content_id(to_bytes(initial)).hex()
        made = replace(genesis.models[0], parameters=parameters, root=root)
        genesis = replace(genesis, models=(made,))
    chain = Chain(genesis, (initial,), SqliteChainStore(":memory:", genesis.id))
    random = np.random.default_rng(1)
    updates, payloads = [], {}
    for key in members[:count]:
        delta = random.integers(-(2**18), 2**18, len(initial), dtype=np.int32)
        payload = update_codec.encode(delta, Codec.INT32)
        name = content_id(payload)
        payloads[name] = payload
        update = Update(
            model=0,
            member=key.public,
            base=chain.head.id,
            examples=EXAMPLES,
            payload_length=len(payload),
            payload=name,
            signature=bytes(SIGNATURE_BYTES),
        )
        updates.append(update.signed(key, genesis.id))
    template = build_template(
        genesis,
        chain.state,
        updates,
        miner=members[0].public,
        now=genesis.time + genesis.spacing,
        lookup=chain.tree.get,
        payload=payloads.__getitem__,
    )
    extranonce, nonce = bytes(EXTRANONCE_BYTES), 0
    while not meets(template.work.header(extranonce, nonce).id, template.work.target_number):
        nonce += 1
    block = template.block(extranonce, nonce, template.work.time, members[0], genesis.id)
    return Case(genesis, initial, block.encode(), list(payloads.values()))


def one_pass(payloads: list[bytes]) -> None:
    """Read each payload's bytes once, and write as many."""
    room = np.empty(max(map(len, payloads), default=0), np.uint8)
    for payload in payloads:
        np.copyto(room, np.frombuffer(payload, np.uint8))


def one_pass_amid(chain: Chain, names: list[bytes]) -> Cost:
    """The same for payloads that are read from the store and hashed before; the pass alone."""
    spent, room = Cost(), None
    for name in names:
        payload = chain.payload(name)
        assert payload is not None
        assert content_id(payload) == name
        began = now()
        if room is None:
            room = np.empty(len(payload), np.uint8)
        np.copyto(room, np.frombuffer(payload, np.uint8))
        spent += now() - began
    return spent


def aggregate_alone(case: Case) -> None:
    """From the payloads to the new parameters."""
    average = FedAvg(case.initial)
    for payload in case.payloads:
        delta = update_codec.decode(payload, len(case.initial), Codec.INT32)
        average.add(delta, EXAMPLES * DISCOUNT_ONE)
    average.result()


def hash_alone(payloads: list[bytes]) -> None:
    for payload in payloads:
        hashlib.sha256(payload).digest()


def cost(action: Callable[[], object]) -> Cost:
    began = now()
    action()
    return now() - began


@dataclass(frozen=True, slots=True)
class Turn:
    """What the block took part by part, aggregation alone, and the peers."""

    whole: Cost
    parts: dict[str, Cost]
    aggregation: Cost
    one_pass: Cost
    one_pass_amid: Cost
    hashes: Cost

    @property
    def aggregation_amid(self) -> Cost:
        return self.parts.get(DECODING, Cost()) + self.parts.get(AGGREGATION, Cost())


def turn(case: Case, path: Path) -> Turn:
    chain = case.chain(path)
    keys.verify.cache_clear()
    with watching() as watch:
        whole = cost(partial(case.validate, chain))
    rest = whole
    for spent in watch.spent.values():
        rest -= spent
    return Turn(
        whole=whole,
        parts={**watch.spent, REST: rest},
        aggregation=cost(partial(aggregate_alone, case)),
        one_pass=cost(partial(one_pass, case.payloads)),
        one_pass_amid=one_pass_amid(chain, [content_id(p) for p in case.payloads]),
        hashes=cost(partial(hash_alone, case.payloads)),
    )


ADVANCE = """
import pickle, sys
from pathlib import Path
from edgenode.ledger.chain import Chain
from edgenode.storage.chain import SqliteChainStore
genesis, initial = pickle.load(sys.stdin.buffer)
chain = Chain(genesis, (initial,), SqliteChainStore(Path(sys.argv[1]), genesis.id))
def resident(which):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(which))
Path("/proc/self/clear_refs").write_text("5")  # the highest so far is what it is now
before = resident("VmRSS")
change, refusals = chain.advance()
assert change is not None and change.new.height == 1, refusals
print(resident("VmHWM") - before)
"""


def memory(case: Case, path: Path) -> int:
    """How many bytes the resident memory rises while the block becomes the head."""
    case.take_in(case.chain(path))
    done = subprocess.run(
        [sys.executable, "-c", ADVANCE, path],
        input=pickle.dumps((case.genesis, case.initial)),
        capture_output=True,
        check=True,
    )
    return int(done.stdout)


def show(case: Case, turns: list[Turn], rise: int) -> None:
    count, parameters = len(case.payloads), len(case.initial)
    megabytes = sum(map(len, case.payloads)) / 1e6

    def cpu(of: Callable[[Turn], Cost]) -> float:
        """CPU milliseconds, the median."""
        return 1e3 * median(of(t).cpu for t in turns)

    def wall(of: Callable[[Turn], Cost]) -> float:
        return 1e3 * median(of(t).wall for t in turns)

    def ratio(what: Callable[[Turn], Cost], peer: Callable[[Turn], Cost]) -> str:
        """The median of the turns' ratios, with the medians of both."""
        of_turns = median(what(t).cpu / peer(t).cpu for t in turns)
        return f"{cpu(what):.2f} to {cpu(peer):.2f} ms CPU, {of_turns:.2f}"

    print(f"{count} updates of {parameters} parameters, {megabytes:.1f} MB of payloads")
    print(f"  {f'median of {len(turns)} turns':28} {'CPU ms':>8} {'share':>6} {'wall ms':>8}")
    whole = cpu(lambda t: t.whole)
    for part in PARTS:

        def spent(of: Turn, part: str = part) -> Cost:
            return of.parts.get(part, Cost())

        print(f"  {part:28} {cpu(spent):8.2f} {cpu(spent) / whole:6.1%} {wall(spent):8.2f}")
    print(f"  {'all':28} {whole:8.2f} {'':6} {wall(lambda t: t.whole):8.2f}")
    print(f"  memory rises by {rise / 1e6:.1f} MB; the parameters have {parameters * 4 / 1e6:.1f}")
    if count:
        print("  aggregation with decoding to one pass:")
        print(f"    alone          {ratio(lambda t: t.aggregation, lambda t: t.one_pass)}")
        print(
            f"    amid the rest  {ratio(lambda t: t.aggregation_amid, lambda t: t.one_pass_amid)}"
        )
        print("  content ids in validation to SHA-256 of the payloads:")
        print(f"    {ratio(lambda t: t.parts[AGAIN], lambda t: t.hashes)}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.validation", description=__doc__)
    parser.add_argument("--model", default="cifar10")
    parser.add_argument("--parameters", type=int)
    parser.add_argument("--updates", type=int, nargs="*", default=[64])
    parser.add_argument("--turns", type=int, default=9)
    options = parser.parse_args()
    for count in options.updates:
        case = prepare(options.model, options.parameters, count)
        with tempfile.TemporaryDirectory() as directory:
            rise = memory(case, Path(directory) / "chain-memory.db")
        turns = []
        for _ in range(options.turns):
            with tempfile.TemporaryDirectory() as directory:
                turns.append(turn(case, Path(directory) / "chain.db"))
        show(case, turns, rise)


if __name__ == "__main__":
    main()
