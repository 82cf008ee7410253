"""Time to validate a block by its number of updates, with its parts, against two peers.

    python -m bench.validation                     # the activity model
    python -m bench.validation --model cifar10     # the paper's

Each block is validated in full as a peer's would be: form and signature of the block, signature of
each update, hash and decoding of each payload, the aggregate and its root. The parts are timed
alone as well. The peers are the least that any validator has to do: SHA-256 of the same payload
bytes by hashlib, and one numpy pass that reads all payloads and writes the parameters once.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from edgenode.cli.new_genesis import new_genesis
from edgenode.learning import update_codec
from edgenode.learning.aggregation import DISCOUNT_ONE, WeightedUpdate, fedavg
from edgenode.learning.fixed_point import Fixed
from edgenode.learning.update_codec import Codec
from edgenode.ledger import keys
from edgenode.ledger.block import Block
from edgenode.ledger.chain import Chain
from edgenode.ledger.genesis import Genesis, Member
from edgenode.ledger.hashes import content_id
from edgenode.ledger.keys import SIGNATURE_BYTES, MemberKey
from edgenode.ledger.target import meets
from edgenode.ledger.template import build_template
from edgenode.ledger.transaction import EXTRANONCE_BYTES, Update
from edgenode.ledger.validation import check_form, connect
from edgenode.storage.chain import SqliteChainStore
from edgenode.tasks.registry import find_task

REPETITIONS = 5
EXAMPLES = 300


@dataclass(frozen=True, slots=True)
class Case:
    """A ward whose head awaits one block, and that block with its payloads."""

    genesis: Genesis
    chain: Chain
    block: Block
    payloads: dict[bytes, bytes]

    @property
    def deltas(self) -> list[Fixed]:
        """The decoded payloads, in block order."""
        model = self.genesis.models[0]
        return [
            update_codec.decode(self.payloads[u.payload], model.parameters, model.codec)
            for u in self.block.updates
        ]

    def validate(self) -> None:
        """Validate the block as if it had just come in."""
        keys.verify.cache_clear()
        fresh = Block.decode(self.block.encode())
        check_form(self.genesis, fresh)
        connect(
            self.genesis,
            self.chain.state,
            fresh,
            self.chain.tree.get,
            self.payloads.__getitem__,
        )

    def signatures(self) -> None:
        """Check the updates' signatures alone."""
        keys.verify.cache_clear()
        assert all(update.is_signed(self.genesis.id) for update in self.block.updates)


def prepare(model: str, count: int) -> Case:
    """A block with `count` updates, each of another member."""
    members = [MemberKey((i + 1).to_bytes(32)) for i in range(max(1, count))]
    genesis = new_genesis(
        name="bench",
        time=1_700_000_000,
        members=[Member(f"m{i}", key.public.hex()) for i, key in enumerate(members)],
        models=[model],
        hash_rate=0.1,
    )
    initial = find_task(model).genesis_parameters()
    chain = Chain(genesis, (initial,), SqliteChainStore(":memory:", genesis.id))
    random = np.random.default_rng(1)
    updates, payloads = [], {}
    for key in members[:count]:
        delta = random.integers(-(2**18), 2**18, len(initial), dtype=np.int32)
        payload = update_codec.encode(delta, Codec.INT32)
        payloads[content_id(payload)] = payload
        update = Update(
            model=0,
            member=key.public,
            base=chain.head.id,
            examples=EXAMPLES,
            payload_length=len(payload),
            payload=content_id(payload),
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
    return Case(genesis, chain, block, payloads)


def one_pass(deltas: list[Fixed], count: int) -> None:
    """Read every payload once, write the parameters once."""
    total = np.zeros(count, np.int64)
    for delta in deltas:
        total += delta
    total.astype(np.int32)


def each(function: Callable[[bytes], object], items: list[bytes]) -> None:
    """Apply a function to each item."""
    for item in items:
        function(item)


def milliseconds(action: Callable[[], object]) -> float:
    """The best of some repetitions, in CPU milliseconds."""
    times = []
    for _ in range(REPETITIONS):
        began = time.process_time()
        action()
        times.append(time.process_time() - began)
    return 1000 * min(times)


def main() -> None:
    """Print a row for each number of updates."""
    parser = argparse.ArgumentParser(prog="python -m bench.validation", description=__doc__)
    parser.add_argument("--model", default="activity")
    parser.add_argument("--updates", type=int, nargs="*", default=[0, 1, 4, 16, 64])
    options = parser.parse_args()
    columns = ("updates", "validate", "signatures", "hashes", "aggregate", "sha256", "one pass")
    print("  ".join(f"{name:>10}" for name in (*columns, "ratio")), "  (CPU ms)")
    for count in options.updates:
        case = prepare(options.model, count)
        payloads, deltas = list(case.payloads.values()), case.deltas
        weighted = [WeightedUpdate(delta, EXAMPLES * DISCOUNT_ONE) for delta in deltas]
        current = case.chain.state.parameters[0]
        row = [
            milliseconds(case.validate),
            milliseconds(case.signatures),
            milliseconds(partial(each, content_id, payloads)),
            milliseconds(partial(fedavg, current, weighted)),
            milliseconds(partial(each, hashlib.sha256, payloads)),
            milliseconds(partial(one_pass, deltas, len(current))),
        ]
        ratio = row[0] / (row[4] + row[5])
        print("  ".join([f"{count:10}", *(f"{value:10.2f}" for value in row), f"{ratio:10.1f}"]))


if __name__ == "__main__":
    main()
