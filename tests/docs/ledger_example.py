"""The worked example of docs/ledger.md, made by the code itself.

    python -m tests.docs.ledger_example

prints what stands in that document; `test_ledger_document.py` compares the two.
"""

import sys
from dataclasses import dataclass, replace

import numpy as np

from edgenode.learning import update_codec
from edgenode.learning.aggregation import AggregationRule
from edgenode.learning.fixed_point import Fixed, to_bytes
from edgenode.learning.update_codec import Codec
from edgenode.ledger.block import Block, sign_block
from edgenode.ledger.chain import Chain
from edgenode.ledger.genesis import Genesis, Member, Model
from edgenode.ledger.hashes import content_id, display
from edgenode.ledger.keys import SIGNATURE_BYTES, MemberKey
from edgenode.ledger.target import expand, meets
from edgenode.ledger.template import build_template
from edgenode.ledger.transaction import EXTRANONCE_BYTES, Update
from edgenode.storage.chain import SqliteChainStore

SEED = bytes(31) + b"\x01"
START = 1_700_000_000
BEFORE: Fixed = np.array([16_777_216, -8_388_608, 0], np.int32)
"""The genesis parameters: 1.0, -0.5 and 0.0 with 24 binary places."""

DELTA: Fixed = np.array([3, -5, 70_000], np.int32)


@dataclass(frozen=True)
class Example:
    """A ward of one member, and the first block, which holds one update."""

    genesis: Genesis
    key: MemberKey
    payload: bytes
    update: Update
    block: Block
    after: Fixed


def make_genesis(key: MemberKey) -> Genesis:
    model = Model(
        name="line",
        parameters=3,
        scale_bits=24,
        rule=AggregationRule.FEDAVG,
        codec=Codec.INT32,
        root=content_id(to_bytes(BEFORE)).hex(),
        graph="00" * 32,
    )
    return Genesis(
        name="example",
        time=START,
        spacing=90,
        half_life=1920,
        target_limit=0x210FFFFF,
        target_start=0x210FFFFF,
        min_spacing=0,
        share_window=128,
        share_rest=480,
        future_bound=120,
        subsidy=1000,
        contributors_percent=50,
        updates_per_block=64,
        transfers_per_block=64,
        examples_cap=4096,
        discounts=(256, 128, 64),
        checkpoint_interval=8,
        endorsements_per_block=128,
        models=(model,),
        members=(Member("alice", key.public.hex()),),
        authorities=(),
        authority_quorum=0,
    )


def make_example() -> Example:
    """Found the ward, train, mine; the block is validated in full on the way."""
    key = MemberKey(SEED)
    genesis = make_genesis(key)
    chain = Chain(genesis, (BEFORE,), SqliteChainStore(":memory:", genesis.id))
    payload = update_codec.encode(DELTA, Codec.INT32)
    update = Update(
        model=0,
        member=key.public,
        base=genesis.id,
        examples=10,
        payload_length=len(payload),
        payload=content_id(payload),
        signature=bytes(SIGNATURE_BYTES),
    ).signed(key, genesis.id)
    chain.add_payload(payload)
    template = build_template(
        genesis,
        chain.state,
        [update],
        miner=key.public,
        now=START + 90,
        lookup=chain.tree.get,
        payload=lambda name: chain.payload(name) or b"",
    )
    unmined = template.block(bytes(EXTRANONCE_BYTES), 0, template.work.time, key, genesis.id)
    header = unmined.header
    while not meets(header.id, expand(header.target)):
        header = replace(header, nonce=header.nonce + 1)
    block = replace(unmined, header=header, signature=sign_block(header, key, genesis.id))
    chain.add_block(block, START + 90)
    change, refusals = chain.advance()
    assert change is not None, refusals
    return Example(genesis, key, payload, update, block, chain.state.parameters[0])


def render(example: Example) -> str:
    """The lines of the document: a name, then hexadecimal (wrapped) or text."""
    genesis, block = example.genesis, example.block
    coinbase = block.coinbase
    values: list[tuple[str, str]] = [
        ("seed of alice's key", SEED.hex()),
        ("alice's public key", example.key.public.hex()),
        ("parameters before", to_bytes(BEFORE).hex()),
        ("root before", content_id(to_bytes(BEFORE)).hex()),
        ("canonical genesis", genesis.canonical.decode()),
        ("genesis coinbase", genesis.block.coinbase.encode().hex()),
        ("genesis header", genesis.block.header.encode().hex()),
        ("genesis id", genesis.id.hex()),
        ("genesis id, shown", display(genesis.id)),
        ("payload", example.payload.hex()),
        ("content id of the payload", content_id(example.payload).hex()),
        ("update", example.update.encode().hex()),
        ("id of the update", example.update.id.hex()),
        ("parameters after", to_bytes(example.after).hex()),
        ("root after", content_id(to_bytes(example.after)).hex()),
        ("coinbase", coinbase.encode().hex()),
        ("id of the coinbase", coinbase.id.hex()),
        ("leaf of the coinbase", block.leaves[0].hex()),
        ("leaf of the update", block.leaves[1].hex()),
        ("header", block.header.encode().hex()),
        ("block id", block.id.hex()),
        ("block id, shown", display(block.id)),
        ("block signature", block.signature.hex()),
        ("block", block.encode().hex()),
    ]
    return "".join(f"{name}:\n{_wrapped(value)}" for name, value in values)


def _wrapped(text: str, width: int = 80) -> str:
    pieces = [text[i : i + width] for i in range(0, len(text), width)]
    return "".join(f"    {piece}\n" for piece in pieces)


if __name__ == "__main__":
    sys.stdout.write(render(make_example()))
