"""Builds small valid wards, blocks and updates for the tests to use and to spoil."""

from dataclasses import replace

import numpy as np

from edgenode.learning import update_codec
from edgenode.learning.aggregation import AggregationRule
from edgenode.learning.fixed_point import Fixed, to_bytes
from edgenode.learning.update_codec import Codec
from edgenode.ledger import finality
from edgenode.ledger.accounts import account
from edgenode.ledger.block import Block, sign_block
from edgenode.ledger.chain import Chain
from edgenode.ledger.endorsement import Endorsement
from edgenode.ledger.genesis import Genesis, Member, Model
from edgenode.ledger.hashes import content_id, sha256d
from edgenode.ledger.header import Header
from edgenode.ledger.keys import SIGNATURE_BYTES, MemberKey
from edgenode.ledger.merkle import merkle_root
from edgenode.ledger.retention import ALL, Retention
from edgenode.ledger.target import expand, meets
from edgenode.ledger.template import Template, build_template
from edgenode.ledger.transaction import Transaction, Transfer, Update
from edgenode.storage.chain import SqliteChainStore

PARAMETERS = 12
START = 1_700_000_000
NOW = START + 1_000_000


def key(number: int) -> MemberKey:
    return MemberKey(number.to_bytes(32))


ALICE, BOB, CAROL, MALLORY = key(1), key(2), key(3), key(666)


def initial_parameters() -> Fixed:
    return np.arange(PARAMETERS, dtype=np.int32) * 1000


def make_genesis(**changes: object) -> Genesis:
    constants: dict[str, object] = {
        "name": "test ward",
        "time": START,
        "spacing": 90,
        "half_life": 1920,
        "target_limit": 0x210FFFFF,  # one hash in sixteen meets it
        "target_start": 0x210FFFFF,
        "min_spacing": 0,
        "share_window": 1,  # nobody's blocks are too many
        "share_rest": 601,
        "future_bound": 600,
        "subsidy": 1000,
        "contributors_percent": 0,
        "updates_per_block": 4,
        "transfers_per_block": 8,
        "examples_cap": 500,
        "discounts": (256, 128, 64),
        "checkpoint_interval": 4,
        "endorsements_per_block": 8,
        "models": (
            Model(
                name="activity",
                parameters=PARAMETERS,
                scale_bits=24,
                rule=AggregationRule.FEDAVG,
                codec=Codec.INT32,
                root=content_id(to_bytes(initial_parameters())).hex(),
                graph="00" * 32,
            ),
        ),
        "members": tuple(
            Member(name, member.public.hex())
            for name, member in (("alice", ALICE), ("bob", BOB), ("carol", CAROL))
        ),
        "authorities": (),
        "authority_quorum": 0,
    }
    return Genesis(**{**constants, **changes})  # type: ignore[arg-type]


def mined(header: Header) -> Header:
    """The header with the first nonce that meets its target."""
    while not meets(header.id, expand(header.target)):
        header = replace(header, nonce=header.nonce + 1)
    return header


class Bench:
    """One chain in memory, and the means to add to it."""

    def __init__(
        self,
        genesis: Genesis | None = None,
        retention: Retention = ALL,
        parameters: tuple[Fixed, ...] | None = None,
    ) -> None:
        self.genesis = genesis or make_genesis()
        self.store = SqliteChainStore(":memory:", self.genesis.id)
        initial = parameters or (initial_parameters(),)
        self.chain = Chain(self.genesis, initial, self.store, retention)

    def update(
        self,
        member: MemberKey = ALICE,
        delta: int | Fixed = 100,
        examples: int = 50,
        base: bytes | None = None,
        **changes: object,
    ) -> tuple[Update, bytes]:
        """A signed update with its payload; `changes` are made before signing."""
        vector = np.full(PARAMETERS, delta, np.int32) if isinstance(delta, int) else delta
        payload = update_codec.encode(vector, Codec.INT32)
        update = Update(
            model=0,
            member=member.public,
            base=self.chain.head.id if base is None else base,
            examples=examples,
            payload_length=len(payload),
            payload=content_id(payload),
            signature=bytes(SIGNATURE_BYTES),
        )
        return replace(update, **changes).signed(member, self.genesis.id), payload  # type: ignore[arg-type]

    def transfer(
        self, sender: MemberKey, recipient: MemberKey, amount: int, sequence: int, fee: int = 1
    ) -> Transfer:
        return Transfer(
            sender.public, recipient.public, amount, fee, sequence, bytes(SIGNATURE_BYTES)
        ).signed(sender, self.genesis.id)

    def template(self, miner: MemberKey, *transactions: Transaction, seconds: int = 90) -> Template:
        """What would be mined on the head, `seconds` after it."""
        return build_template(
            self.genesis,
            self.chain.state,
            transactions,
            miner=miner.public,
            now=self.chain.head.header.time + seconds,
            lookup=self.chain.tree.get,
            payload=lambda name: self.chain.payload(name) or b"",
        )

    def block(
        self, *transactions: Transaction, miner: MemberKey = ALICE, seconds: int = 90
    ) -> Block:
        """A valid block on the head, `seconds` after it."""
        template = self.template(miner, *transactions, seconds=seconds)
        return self.sealed(
            template.block(bytes(8), 0, template.work.time, miner, self.genesis.id), miner
        )

    def sealed(self, block: Block, miner: MemberKey = ALICE) -> Block:
        """The block with its merkle root, proof of work and signature put right."""
        header = replace(block.header, merkle_root=merkle_root(block.leaves))
        return self.signed(replace(block, header=mined(header)), miner)

    def signed(self, block: Block, miner: MemberKey = ALICE) -> Block:
        return replace(block, signature=sign_block(block.header, miner, self.genesis.id))

    def add(self, block: Block, *payloads: bytes, now: int = NOW) -> Block:
        """Add a block and go to it if it is the best."""
        self.chain.add_block(block, now)
        for payload in payloads:
            self.chain.add_payload(payload)
        _, refusals = self.chain.advance()
        if refusals:
            raise refusals[0].rejected
        return block

    def grow(self, count: int, miner: MemberKey = ALICE, seconds: int = 90) -> None:
        for _ in range(count):
            self.add(self.block(miner=miner, seconds=seconds))

    def round(self, *members: MemberKey, delta: int = 100, miner: MemberKey = ALICE) -> Block:
        """A block with one update of each member."""
        pairs = [self.update(member, delta) for member in members]
        for _, payload in pairs:
            self.chain.add_payload(payload)
        return self.add(self.block(*(update for update, _ in pairs), miner=miner))

    def endorsement(self, member: MemberKey) -> Endorsement:
        """The member's endorsement of the highest checkpoint, from the highest justified one."""
        interval = self.genesis.checkpoint_interval
        target = self.chain.at(self.chain.head.height // interval * interval)
        assert target is not None
        source = finality.highest_justified(self.chain.state.records)
        return Endorsement(
            member.public,
            source.height,
            source.id,
            target.height,
            target.id,
            bytes(SIGNATURE_BYTES),
        ).signed(member, self.genesis.id)

    def endorse(self, *members: MemberKey) -> None:
        """A block with the endorsement of each member."""
        self.add(self.block(*(self.endorsement(member) for member in members)))

    def grow_final(self, height: int, *members: MemberKey) -> None:
        """Grow to a height while these members endorse every checkpoint, and train a little."""
        while self.chain.head.height < height:
            above = self.chain.head.height % self.genesis.checkpoint_interval
            if above == 0 and self.chain.head.height:
                self.endorse(*members)
            else:
                self.round(members[0], delta=self.chain.head.height)

    def known(self) -> set[bytes]:
        """Ids of all headers that the store has, genesis among them."""
        index = self.store.headers
        trunk = index.raw(0, index.height + 1)
        ids = {sha256d(trunk[i : i + 80]) for i in range(0, len(trunk), 80)}
        return ids | {name for name, _ in index.beside()}

    def parameters(self) -> list[int]:
        return [int(v) for v in self.chain.state.parameters[0]]

    def balance(self, member: MemberKey) -> int:
        return account(self.chain.state.records, member.public).balance
