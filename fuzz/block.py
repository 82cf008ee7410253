"""Blocks.

Invariant: the bytes are the block that codes back to them, within all limits, or MalformedError.
What is asked of a block that only parsed - its leaves, its kinds of transactions - never fails.
"""

from edgenode.ledger.block import BLOCK_BYTES_LIMIT, TRANSACTIONS_LIMIT, Block, is_signed_block
from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.merkle import is_mutated, merkle_root
from edgenode.ledger.transaction import TRANSACTION_BYTES_LIMIT, Coinbase

WARD = bytes(32)


def one_input(data: bytes) -> bool:
    """Try one input."""
    try:
        block = Block.decode(data)
    except MalformedError:
        return False
    assert block.encode() == data
    assert len(data) <= BLOCK_BYTES_LIMIT
    assert len(block.transactions) <= TRANSACTIONS_LIMIT
    kinds = (*block.updates, *block.transfers, *block.changes, *block.endorsements)
    coinbases = sum(isinstance(t, Coinbase) for t in block.transactions)
    assert coinbases + len(kinds) == len(block.transactions)
    assert all(len(t.encode()) <= TRANSACTION_BYTES_LIMIT for t in block.transactions)
    if block.transactions:
        assert len(merkle_root(block.leaves)) == 32
    assert is_mutated(block.leaves) in {True, False}
    if block.transactions and isinstance(block.transactions[0], Coinbase):
        assert is_signed_block(block, WARD) in {True, False}
    return True
