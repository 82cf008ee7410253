"""Blocks as the local API shows them: a line of the chain, and a block decoded in full."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edgenode.api.shapes import HeadModel
from edgenode.ledger.block import Block
from edgenode.ledger.enrolment import Enrolment
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.hashes import display
from edgenode.ledger.rewards import contributions


@dataclass(frozen=True, slots=True)
class BlockSummary:
    """One line of the chain.

    Attributes:
        id: Block id.
        height: Height; genesis has 0.
        time: The block's own time.
        interval: Seconds since the parent; 0 for genesis.
        target: Compact target, 8 hexadecimal digits.
        miner: The miner's public key.
        updates: Number of client updates.
        transfers: Number of transfers.
        examples: Examples behind all its updates.
        size: Length of the raw block in bytes.
    """

    id: str
    height: int
    time: int
    interval: int
    target: str
    miner: str
    updates: int
    transfers: int
    examples: int
    size: int


@dataclass(frozen=True, slots=True)
class UpdateShape:
    """A client update in a block; `base` is the block that was trained from."""

    id: str
    model: str
    member: str
    base: str
    examples: int
    payload: str
    payload_length: int
    signature: str


@dataclass(frozen=True, slots=True)
class TransferShape:
    """A transfer in a block, amounts in coins."""

    id: str
    sender: str
    recipient: str
    amount: int
    fee: int
    sequence: int
    signature: str


@dataclass(frozen=True, slots=True)
class PayoutShape:
    """Coins that a coinbase pays to a public key."""

    key: str
    amount: int


@dataclass(frozen=True, slots=True)
class ChangeShape:
    """An enrolment, whose name it is, or a revocation (`name` is None), by these authorities."""

    id: str
    member: str
    name: str | None
    sequence: int
    authorities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EndorsementShape:
    """A member's vote for a checkpoint, from a justified one."""

    id: str
    member: str
    source_height: int
    source: str
    target_height: int
    target: str
    signature: str


@dataclass(frozen=True, slots=True)
class BlockShape:
    """A block, decoded.

    `reward` is the sum of `payouts`; `contributions` are what members get for their updates,
    `state` is the root of the records at every 128th height, None at others.
    """

    id: str
    height: int
    version: int
    previous: str
    merkle_root: str
    time: int
    interval: int
    target: str
    nonce: int
    size: int
    signature: str
    miner: str
    reward: int
    payouts: tuple[PayoutShape, ...]
    contributions: tuple[PayoutShape, ...]
    extranonce: str
    state: str | None
    models: tuple[HeadModel, ...]
    updates: tuple[UpdateShape, ...]
    transfers: tuple[TransferShape, ...]
    changes: tuple[ChangeShape, ...]
    endorsements: tuple[EndorsementShape, ...]


def summary_of(block: Block, interval: int) -> BlockSummary:
    """The summary of a block that passed the ledger's rules; `interval` as in the record."""
    coinbase = block.coinbase
    return BlockSummary(
        id=display(block.id),
        height=coinbase.height,
        time=block.header.time,
        interval=interval,
        target=f"{block.header.target:08x}",
        miner=coinbase.miner.hex(),
        updates=len(block.updates),
        transfers=len(block.transfers),
        examples=sum(update.examples for update in block.updates),
        size=len(block.encode()),
    )


def models_of(genesis: Genesis, block: Block) -> tuple[HeadModel, ...]:
    """What a block that passed the ledger's rules commits to for each model."""
    return tuple(
        HeadModel(model.name, state.round, state.updates, state.examples, state.root.hex())
        for model, state in zip(genesis.models, block.coinbase.models, strict=True)
    )


def block_of(genesis: Genesis, block: Block, interval: int) -> BlockShape:
    """A block that passed the ledger's rules, decoded; `interval` as in the record."""
    header, coinbase = block.header, block.coinbase
    return BlockShape(
        id=display(block.id),
        height=coinbase.height,
        version=header.version,
        previous=display(header.previous),
        merkle_root=display(header.merkle_root),
        time=header.time,
        interval=interval,
        target=f"{header.target:08x}",
        nonce=header.nonce,
        size=len(block.encode()),
        signature=block.signature.hex(),
        miner=coinbase.miner.hex(),
        reward=coinbase.reward,
        payouts=_payouts(coinbase.payouts),
        contributions=_payouts(contributions(genesis, block.updates)),
        extranonce=coinbase.extranonce.hex(),
        state=coinbase.state.hex() or None,
        models=models_of(genesis, block),
        updates=tuple(
            UpdateShape(
                id=update.id.hex(),
                model=genesis.models[update.model].name,
                member=update.member.hex(),
                base=display(update.base),
                examples=update.examples,
                payload=update.payload.hex(),
                payload_length=update.payload_length,
                signature=update.signature.hex(),
            )
            for update in block.updates
        ),
        transfers=tuple(
            TransferShape(
                id=transfer.id.hex(),
                sender=transfer.sender.hex(),
                recipient=transfer.recipient.hex(),
                amount=transfer.amount,
                fee=transfer.fee,
                sequence=transfer.sequence,
                signature=transfer.signature.hex(),
            )
            for transfer in block.transfers
        ),
        changes=tuple(
            ChangeShape(
                id=change.id.hex(),
                member=change.member.hex(),
                name=change.name if isinstance(change, Enrolment) else None,
                sequence=change.sequence,
                authorities=tuple(genesis.authorities[i].name for i, _ in change.signatures),
            )
            for change in block.changes
        ),
        endorsements=tuple(
            EndorsementShape(
                id=endorsement.id.hex(),
                member=endorsement.member.hex(),
                source_height=endorsement.source_height,
                source=display(endorsement.source),
                target_height=endorsement.target_height,
                target=display(endorsement.target),
                signature=endorsement.signature.hex(),
            )
            for endorsement in block.endorsements
        ),
    )


def _payouts(payouts: Iterable[tuple[bytes, int]]) -> tuple[PayoutShape, ...]:
    return tuple(PayoutShape(key.hex(), amount) for key, amount in payouts)
