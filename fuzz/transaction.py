"""Transactions of all kinds.

Invariant: the bytes are the transaction that codes back to them, and no longer than one may be,
or MalformedError. Whether it is signed is a yes or no, whatever stands where a key should.
"""

from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.enrolment import Enrolment, Revocation
from edgenode.ledger.transaction import (
    TRANSACTION_BYTES_LIMIT,
    Coinbase,
    decode_transaction,
    leaf,
)

WARD = bytes(32)


def one_input(data: bytes) -> bool:
    """Try one input."""
    try:
        transaction = decode_transaction(data)
    except MalformedError:
        return False
    assert transaction.encode() == data
    assert len(data) <= TRANSACTION_BYTES_LIMIT
    assert decode_transaction(data) == transaction
    assert len(leaf(transaction)) == 32
    if isinstance(transaction, Enrolment | Revocation):
        for _, signature in transaction.signatures[:2]:
            assert transaction.is_signed(transaction.member, signature, WARD) in {True, False}
    elif not isinstance(transaction, Coinbase):
        assert transaction.is_signed(WARD) in {True, False}
    return True
