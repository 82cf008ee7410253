"""Balances: what a block's rewards and transfers do to them, and how that is undone."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgenode.ledger.encoding import MalformedError, Reader, u8, u32, u64
from edgenode.ledger.keys import PUBLIC_KEY_BYTES, is_public_key
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.transaction import Transfer

AMOUNT_LIMIT = 2**64 - 1
UNDO_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Account:
    """A key's coins and the number of transfers it has made."""

    balance: int = 0
    sequence: int = 0


EMPTY = Account()

Accounts = Mapping[bytes, Account]
"""Accounts by public key; a key that is absent has the empty account."""


def applied(accounts: Accounts, changes: Accounts) -> dict[bytes, Account]:
    """The accounts after these changes; what is empty then is absent."""
    merged = {**accounts, **changes}
    for key, account in changes.items():
        if account == EMPTY:
            del merged[key]
    return merged


class Bookkeeping:
    """Changes on top of accounts that stay as they are."""

    def __init__(self, accounts: Accounts) -> None:
        self._before = accounts
        self.changes: dict[bytes, Account] = {}

    def account(self, key: bytes) -> Account:
        """The account as changed so far."""
        return self.changes.get(key) or self._before.get(key, EMPTY)

    def credit(self, key: bytes, amount: int) -> None:
        """Add coins to an account."""
        account = self.account(key)
        self.changes[key] = Account(account.balance + amount, account.sequence)

    def transfer(self, transfer: Transfer, ward: bytes) -> None:
        """Carry out a transfer; the fee leaves the sender and goes nowhere yet.

        Raises:
            Rejected: it violates one of the transfer rules; nothing was changed.
        """
        sender = self.account(transfer.sender)
        if not is_public_key(transfer.recipient):
            raise Rejected(Rule.TRANSFER_RECIPIENT, "the recipient is no public key")
        if transfer.amount == 0 or transfer.amount + transfer.fee > AMOUNT_LIMIT:
            raise Rejected(
                Rule.TRANSFER_AMOUNT, f"amount {transfer.amount} with fee {transfer.fee}"
            )
        if transfer.sequence != sender.sequence:
            raise Rejected(
                Rule.TRANSFER_SEQUENCE, f"sequence {transfer.sequence}, not {sender.sequence}"
            )
        spent = transfer.amount + transfer.fee
        if spent > sender.balance:
            raise Rejected(Rule.TRANSFER_BALANCE, f"spends {spent} of {sender.balance}")
        if not transfer.is_signed(ward):
            raise Rejected(Rule.TRANSFER_SIGNATURE, "the signature is not the sender's")
        self.changes[transfer.sender] = Account(sender.balance - spent, sender.sequence + 1)
        self.credit(transfer.recipient, transfer.amount)

    def copy(self) -> "Bookkeeping":
        """The same books, to try something on."""
        copied = Bookkeeping(self._before)
        copied.changes = dict(self.changes)
        return copied

    def undo(self) -> "AccountsUndo":
        """What restores the accounts as they were before the changes."""
        return AccountsUndo({key: self._before.get(key, EMPTY) for key in self.changes})


@dataclass(frozen=True, slots=True)
class AccountsUndo:
    """Accounts as they stood before a block, for the keys that it changed."""

    before: Mapping[bytes, Account]

    def encode(self) -> bytes:
        """Bytes for the store."""
        return u8(UNDO_FORMAT) + b"".join(
            (
                u32(len(self.before)),
                *(key + u64(a.balance) + u64(a.sequence) for key, a in self.before.items()),
            )
        )

    @classmethod
    def decode(cls, data: bytes) -> "AccountsUndo":
        """Inverse of `encode`; raises MalformedError."""
        reader = Reader(data)
        if (found := reader.u8("undo format")) != UNDO_FORMAT:
            raise MalformedError(f"undo record of format {found}, not {UNDO_FORMAT}")
        before = {}
        for _ in range(reader.u32("number of accounts")):
            key = reader.take(PUBLIC_KEY_BYTES, "key")
            before[key] = Account(reader.u64("balance"), reader.u64("sequence"))
        reader.finish("undo record")
        return cls(before)
