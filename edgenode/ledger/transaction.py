"""Transactions: coinbase, update and transfer. Their layouts stand in docs/ledger.md."""

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property

from edgenode.ledger.encoding import MalformedError, Reader, u8, u16, u32, u64
from edgenode.ledger.hashes import hash160, sha256d
from edgenode.ledger.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, MemberKey, verify

EXTRANONCE_BYTES = 8
EXTRANONCE_OFFSET = 5
"""Where a coinbase's extranonce starts: after kind and height, so that a miner can splice it."""

MODELS_LIMIT = 8
"""Models of one ward; with it a coinbase stays below one datagram (54 + 8·46 bytes)."""


class Kind(IntEnum):
    """The first byte of a transaction. 3 and 4 are kept for enrolment and revocation."""

    COINBASE = 0
    UPDATE = 1
    TRANSFER = 2


@dataclass(frozen=True, slots=True)
class ModelState:
    """What a block commits to for one model.

    `round` counts the aggregations so far, `updates` and `examples` are those of this block
    (`examples` undiscounted), `root` is the content id of the new parameters.
    """

    round: int
    updates: int
    examples: int
    root: bytes


@dataclass(frozen=True)
class Coinbase:
    """First transaction of a block: who mined it, for what reward, with what aggregates."""

    height: int
    extranonce: bytes
    miner: bytes
    reward: int
    models: tuple[ModelState, ...]

    def encode(self) -> bytes:
        """The raw bytes."""
        return b"".join(
            (
                u8(Kind.COINBASE),
                u32(self.height),
                self.extranonce,
                self.miner,
                u64(self.reward),
                u8(len(self.models)),
                *(u32(m.round) + u16(m.updates) + u64(m.examples) + m.root for m in self.models),
            )
        )

    @classmethod
    def read(cls, reader: Reader) -> "Coinbase":
        """Parse what follows the kind byte; raises MalformedError."""
        height = reader.u32("coinbase height")
        extranonce = reader.take(EXTRANONCE_BYTES, "extranonce")
        miner = reader.take(PUBLIC_KEY_BYTES, "miner's key")
        reward = reader.u64("reward")
        count = reader.u8("number of models")
        if count > MODELS_LIMIT:
            raise MalformedError(f"{count} models in a coinbase; the limit is {MODELS_LIMIT}")
        models = tuple(
            ModelState(
                round=reader.u32("round"),
                updates=reader.u16("number of updates"),
                examples=reader.u64("number of examples"),
                root=reader.take(32, "parameter root"),
            )
            for _ in range(count)
        )
        return cls(height, extranonce, miner, reward, models)

    @cached_property
    def id(self) -> bytes:
        """RIPEMD-160(SHA-256(raw)), 20 bytes."""
        return hash160(self.encode())


@dataclass(frozen=True)
class Update:
    """A member's client update: Δ relative to the parameters at the block `base`.

    The differences themselves are the payload, named by its content id and length in bytes.
    """

    model: int
    member: bytes
    base: bytes
    examples: int
    payload_length: int
    payload: bytes
    signature: bytes

    def encode(self) -> bytes:
        """The raw bytes."""
        return self._unsigned() + self.signature

    def _unsigned(self) -> bytes:
        return b"".join(
            (
                u8(Kind.UPDATE),
                u8(self.model),
                self.member,
                self.base,
                u32(self.examples),
                u32(self.payload_length),
                self.payload,
            )
        )

    @classmethod
    def read(cls, reader: Reader) -> "Update":
        """Parse what follows the kind byte; raises MalformedError."""
        return cls(
            model=reader.u8("model"),
            member=reader.take(PUBLIC_KEY_BYTES, "member's key"),
            base=reader.take(32, "base block"),
            examples=reader.u32("number of examples"),
            payload_length=reader.u32("payload length"),
            payload=reader.take(32, "payload id"),
            signature=reader.take(SIGNATURE_BYTES, "signature"),
        )

    @cached_property
    def id(self) -> bytes:
        """RIPEMD-160(SHA-256(raw)), 20 bytes."""
        return hash160(self.encode())

    def signed(self, key: MemberKey, ward: bytes) -> "Update":
        """This update under the member's signature, which holds in one ward only."""
        return replace(self, signature=key.sign(b"edgenode update" + ward + self._unsigned()))

    def is_signed(self, ward: bytes) -> bool:
        """Whether the signature is the member's, for this ward."""
        return verify(self.member, b"edgenode update" + ward + self._unsigned(), self.signature)

    @property
    def once(self) -> tuple[int, bytes, bytes]:
        """What a chain holds at most one update for: model, member and base."""
        return self.model, self.member, self.base


@dataclass(frozen=True)
class Transfer:
    """Moves `amount` from sender to recipient and `fee` to the miner.

    `sequence` counts the sender's transfers from 0, so that each happens once, in order.
    """

    sender: bytes
    recipient: bytes
    amount: int
    fee: int
    sequence: int
    signature: bytes

    def encode(self) -> bytes:
        """The raw bytes."""
        return self._unsigned() + self.signature

    def _unsigned(self) -> bytes:
        return b"".join(
            (
                u8(Kind.TRANSFER),
                self.sender,
                self.recipient,
                u64(self.amount),
                u64(self.fee),
                u64(self.sequence),
            )
        )

    @classmethod
    def read(cls, reader: Reader) -> "Transfer":
        """Parse what follows the kind byte; raises MalformedError."""
        return cls(
            sender=reader.take(PUBLIC_KEY_BYTES, "sender's key"),
            recipient=reader.take(PUBLIC_KEY_BYTES, "recipient's key"),
            amount=reader.u64("amount"),
            fee=reader.u64("fee"),
            sequence=reader.u64("sequence"),
            signature=reader.take(SIGNATURE_BYTES, "signature"),
        )

    @cached_property
    def id(self) -> bytes:
        """RIPEMD-160(SHA-256(raw)), 20 bytes."""
        return hash160(self.encode())

    def signed(self, key: MemberKey, ward: bytes) -> "Transfer":
        """This transfer under the sender's signature, which holds in one ward only."""
        return replace(self, signature=key.sign(b"edgenode transfer" + ward + self._unsigned()))

    def is_signed(self, ward: bytes) -> bool:
        """Whether the signature is the sender's, for this ward."""
        return verify(self.sender, b"edgenode transfer" + ward + self._unsigned(), self.signature)


Transaction = Coinbase | Update | Transfer

TRANSACTION_BYTES_LIMIT = 512
"""Above the longest transaction, a coinbase with `MODELS_LIMIT` models (422 bytes)."""


def decode_transaction(data: bytes) -> Transaction:
    """Parse one raw transaction; signatures and meaning are not checked here.

    Raises:
        MalformedError: unknown kind, wrong length or a count above its bound.
    """
    reader = Reader(data)
    kind = reader.u8("transaction kind")
    transaction: Transaction
    match kind:
        case Kind.COINBASE:
            transaction = Coinbase.read(reader)
        case Kind.UPDATE:
            transaction = Update.read(reader)
        case Kind.TRANSFER:
            transaction = Transfer.read(reader)
        case _:
            raise MalformedError(f"transaction kind {kind} is unknown")
    reader.finish(f"{Kind(kind).name.lower()} transaction")
    return transaction


def leaf(transaction: Transaction) -> bytes:
    """The transaction's merkle leaf: SHA-256d of its raw bytes."""
    return sha256d(transaction.encode())
