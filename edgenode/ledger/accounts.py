"""Balances: what rewards and transfers do to them.

Each account is a record for ever, in every state that somebody joins at. So one of no member holds
as many coins as a block brings (`reserve`): there are never more of these than blocks.
"""

from dataclasses import dataclass

from edgenode.ledger import membership
from edgenode.ledger.encoding import Reader, u8, u64
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.keys import is_public_key
from edgenode.ledger.records import Overlay, RecordKind, Records
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.transaction import Transfer

AMOUNT_LIMIT = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Account:
    """A key's coins and the number of transfers it has made."""

    balance: int = 0
    sequence: int = 0


EMPTY = Account()


def _key(owner: bytes) -> bytes:
    return u8(RecordKind.ACCOUNT) + owner


def account(records: Records, owner: bytes) -> Account:
    """The account of a public key; one that was never used is empty."""
    value = records.get(_key(owner))
    if value is None:
        return EMPTY
    reader = Reader(value)
    return Account(reader.u64("balance"), reader.u64("sequence"))


def accounts(records: Records) -> dict[bytes, Account]:
    """All accounts that are not empty, by public key."""
    return {key[1:]: account(records, key[1:]) for key, _ in records.under(u8(RecordKind.ACCOUNT))}


def _write(records: Overlay, owner: bytes, changed: Account) -> None:
    value = u64(changed.balance) + u64(changed.sequence)
    records.set(_key(owner), None if changed == EMPTY else value)


def credit(records: Overlay, owner: bytes, amount: int) -> None:
    """Add coins to an account."""
    if amount:
        before = account(records, owner)
        _write(records, owner, Account(before.balance + amount, before.sequence))


def reserve(genesis: Genesis, records: Records, owner: bytes) -> int:
    """Coins that an account of this public key holds at least; none with a member record."""
    return 0 if membership.has_record(records, owner) else genesis.subsidy


def may_be_paid(genesis: Genesis, records: Records, owner: bytes, amount: int) -> bool:
    """Whether an account would hold its reserve after getting `amount` coins."""
    return account(records, owner).balance + amount >= reserve(genesis, records, owner)


def check_transfer(transfer: Transfer, ward: bytes) -> None:
    """Check what a transfer says of itself.

    Raises:
        Rejected: it violates a rule.
    """
    if not is_public_key(transfer.recipient):
        raise Rejected(Rule.TRANSFER_RECIPIENT, "the recipient is no public key")
    if transfer.amount == 0 or transfer.amount + transfer.fee > AMOUNT_LIMIT:
        raise Rejected(Rule.TRANSFER_AMOUNT, f"amount {transfer.amount} with fee {transfer.fee}")
    if not transfer.is_signed(ward):
        raise Rejected(Rule.TRANSFER_SIGNATURE, "the signature is not the sender's")


def check_funds(genesis: Genesis, records: Records, transfer: Transfer) -> None:
    """Check that the sender has the coins, and that both accounts hold their reserves afterwards.

    Raises:
        Rejected: it violates a rule.
    """
    balance, spent = account(records, transfer.sender).balance, transfer.amount + transfer.fee
    if spent > balance:
        raise Rejected(Rule.TRANSFER_BALANCE, f"spends {spent} of {balance}")
    to_itself = transfer.recipient == transfer.sender
    left = balance - spent + (transfer.amount if to_itself else 0)
    if left < (kept := reserve(genesis, records, transfer.sender)):
        raise Rejected(
            Rule.TRANSFER_RESERVE,
            f"leaves {left} coins to the sender; who is no member keeps {kept}",
        )
    if not to_itself and not may_be_paid(genesis, records, transfer.recipient, transfer.amount):
        raise Rejected(
            Rule.TRANSFER_RESERVE,
            f"the recipient is no member and would hold less than {genesis.subsidy} coins",
        )


def carry_out(genesis: Genesis, records: Overlay, transfer: Transfer) -> None:
    """Carry out a transfer; the fee leaves the sender and goes nowhere yet.

    Raises:
        Rejected: it violates one of the transfer rules; nothing was changed.
    """
    check_transfer(transfer, genesis.id)
    sender = account(records, transfer.sender)
    if transfer.sequence != sender.sequence:
        raise Rejected(
            Rule.TRANSFER_SEQUENCE, f"sequence {transfer.sequence}, not {sender.sequence}"
        )
    check_funds(genesis, records, transfer)
    left = sender.balance - transfer.amount - transfer.fee
    _write(records, transfer.sender, Account(left, sender.sequence + 1))
    credit(records, transfer.recipient, transfer.amount)
