"""A block: header, the signature of the member who mined it, transactions."""

from dataclasses import dataclass
from functools import cached_property

from edgenode.ledger.encoding import MalformedError, Reader, u16
from edgenode.ledger.endorsement import Endorsement
from edgenode.ledger.enrolment import Enrolment, Revocation
from edgenode.ledger.header import HEADER_BYTES, Header
from edgenode.ledger.keys import SIGNATURE_BYTES, MemberKey, verify
from edgenode.ledger.transaction import (
    TRANSACTION_BYTES_LIMIT,
    Coinbase,
    Transaction,
    Transfer,
    Update,
    decode_transaction,
    leaf,
)

UPDATES_LIMIT = 64
TRANSFERS_LIMIT = 256
CHANGES_LIMIT = 16
ENDORSEMENTS_LIMIT = 256

TRANSACTIONS_LIMIT = 1 + UPDATES_LIMIT + TRANSFERS_LIMIT + CHANGES_LIMIT + ENDORSEMENTS_LIMIT
"""A coinbase and the most of each other kind that any genesis may allow."""

BLOCK_BYTES_LIMIT = (
    HEADER_BYTES + SIGNATURE_BYTES + 2 + TRANSACTIONS_LIMIT * (2 + TRANSACTION_BYTES_LIMIT)
)
"""No block is longer, so no receiver need reserve more (about 608 kB)."""


@dataclass(frozen=True)
class Block:
    """The unit of the chain.

    The miner's signature is made on the block id once the nonce is found. It is not part of
    the id: a miner outside the ward can do the work, only a member can make it a block.
    """

    header: Header
    signature: bytes
    transactions: tuple[Transaction, ...]

    def encode(self) -> bytes:
        """The raw bytes."""
        raw = [transaction.encode() for transaction in self.transactions]
        return b"".join(
            (
                self.header.encode(),
                self.signature,
                u16(len(raw)),
                *(u16(len(data)) + data for data in raw),
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> "Block":
        """Parse a block; nothing but its form is checked.

        Raises:
            MalformedError: it does not parse, or a count or length is above its bound.
        """
        if len(data) > BLOCK_BYTES_LIMIT:
            raise MalformedError(f"block of {len(data)} bytes; the limit is {BLOCK_BYTES_LIMIT}")
        reader = Reader(data)
        header = Header.decode(reader.take(HEADER_BYTES, "header"))
        signature = reader.take(SIGNATURE_BYTES, "block signature")
        count = reader.u16("number of transactions")
        if count > TRANSACTIONS_LIMIT:
            raise MalformedError(f"{count} transactions; the limit is {TRANSACTIONS_LIMIT}")
        transactions = tuple(
            decode_transaction(reader.take(reader.u16("transaction length"), "transaction"))
            for _ in range(count)
        )
        reader.finish("block")
        return cls(header, signature, transactions)

    @property
    def id(self) -> bytes:
        """The header's id."""
        return self.header.id

    @cached_property
    def leaves(self) -> list[bytes]:
        """Merkle leaves in order."""
        return [leaf(transaction) for transaction in self.transactions]

    @property
    def coinbase(self) -> Coinbase:
        """The first transaction of a block that passed the rule `coinbase_missing`."""
        first = self.transactions[0]
        assert isinstance(first, Coinbase)
        return first

    @property
    def updates(self) -> list[Update]:
        """The updates, in block order."""
        return [t for t in self.transactions if isinstance(t, Update)]

    @property
    def changes(self) -> list[Enrolment | Revocation]:
        """The enrolments and revocations, in block order."""
        return [t for t in self.transactions if isinstance(t, Enrolment | Revocation)]

    @property
    def endorsements(self) -> list[Endorsement]:
        """The endorsements, in block order."""
        return [t for t in self.transactions if isinstance(t, Endorsement)]

    @property
    def transfers(self) -> list[Transfer]:
        """The transfers, in block order."""
        return [t for t in self.transactions if isinstance(t, Transfer)]


def sign_block(header: Header, key: MemberKey, ward: bytes) -> bytes:
    """The miner's signature on a mined header."""
    return key.sign(b"edgenode block" + ward + header.id)


def is_signed_block(block: Block, ward: bytes) -> bool:
    """Whether the signature is that of the coinbase's miner."""
    message = b"edgenode block" + ward + block.id
    return verify(block.coinbase.miner, message, block.signature)
