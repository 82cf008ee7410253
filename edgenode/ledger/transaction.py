"""All transactions, those with coins among them here. Their layouts stand in docs/ledger.md."""

from dataclasses import dataclass, replace

from edgenode.ledger.encoding import MalformedError, Reader, u8, u16, u32, u64
from edgenode.ledger.endorsement import Endorsement
from edgenode.ledger.enrolment import Enrolment, Revocation
from edgenode.ledger.hashes import sha256d
from edgenode.ledger.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, MemberKey, verify
from edgenode.ledger.transaction_kind import Identified, Kind

EXTRANONCE_BYTES = 8
EXTRANONCE_OFFSET = 5
"""Where a coinbase's extranonce starts: after kind and height, so that a miner can splice it."""

MODELS_LIMIT = 8
"""Models of one ward; with it a coinbase stays below one datagram."""

PAYOUTS_LIMIT = 12
"""Keys that a coinbase pays: a pool's best workers; with it a coinbase stays below one datagram."""

STATE_INTERVAL = 128
"""A coinbase at every 128th height commits to the state, for those who join there."""


def holds_state_root(height: int) -> bool:
    """Whether the coinbase at this height commits to the state after its parent."""
    return height > 0 and height % STATE_INTERVAL == 0


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
class Coinbase(Identified):
    """First transaction of a block: who mined it, who is paid, with what aggregates.

    `payouts` are public keys with coins, `state` the root of the records after the parent at
    every `STATE_INTERVAL`th height, empty at others.
    """

    height: int
    extranonce: bytes
    miner: bytes
    payouts: tuple[tuple[bytes, int], ...]
    models: tuple[ModelState, ...]
    state: bytes

    @property
    def reward(self) -> int:
        """All coins that are paid out."""
        return sum(amount for _, amount in self.payouts)

    def encode(self) -> bytes:
        """The raw bytes."""
        return b"".join(
            (
                u8(Kind.COINBASE),
                u32(self.height),
                self.extranonce,
                self.miner,
                u8(len(self.payouts)),
                *(key + u64(amount) for key, amount in self.payouts),
                u8(len(self.models)),
                *(u32(m.round) + u16(m.updates) + u64(m.examples) + m.root for m in self.models),
                self.state,
            )
        )

    @classmethod
    def read(cls, reader: Reader) -> "Coinbase":
        """Parse what follows the kind byte; raises MalformedError."""
        height = reader.u32("coinbase height")
        extranonce = reader.take(EXTRANONCE_BYTES, "extranonce")
        miner = reader.take(PUBLIC_KEY_BYTES, "miner's key")
        count = reader.u8("number of payouts")
        if count > PAYOUTS_LIMIT:
            raise MalformedError(f"{count} payouts in a coinbase; the limit is {PAYOUTS_LIMIT}")
        payouts = tuple(
            (reader.take(PUBLIC_KEY_BYTES, "payee's key"), reader.u64("payout"))
            for _ in range(count)
        )
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
        state = reader.take(32, "state root") if holds_state_root(height) else b""
        return cls(height, extranonce, miner, payouts, models, state)


@dataclass(frozen=True)
class Update(Identified):
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
class Transfer(Identified):
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

    def signed(self, key: MemberKey, ward: bytes) -> "Transfer":
        """This transfer under the sender's signature, which holds in one ward only."""
        return replace(self, signature=key.sign(b"edgenode transfer" + ward + self._unsigned()))

    def is_signed(self, ward: bytes) -> bool:
        """Whether the signature is the sender's, for this ward."""
        return verify(self.sender, b"edgenode transfer" + ward + self._unsigned(), self.signature)


Transaction = Coinbase | Update | Transfer | Enrolment | Revocation | Endorsement

TRANSACTION_BYTES_LIMIT = 1024
"""Above the longest, a coinbase of `MODELS_LIMIT` models and `PAYOUTS_LIMIT` payouts (927 bytes)
and an enrolment by `AUTHORITIES_LIMIT` authorities (887); below one datagram."""


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
        case Kind.ENROLMENT:
            transaction = Enrolment.read(reader)
        case Kind.REVOCATION:
            transaction = Revocation.read(reader)
        case Kind.ENDORSEMENT:
            transaction = Endorsement.read(reader)
        case _:
            raise MalformedError(f"transaction kind {kind} is unknown")
    reader.finish(f"{Kind(kind).name.lower()} transaction")
    return transaction


def leaf(transaction: Transaction) -> bytes:
    """The transaction's merkle leaf: SHA-256d of its raw bytes."""
    return sha256d(transaction.encode())
