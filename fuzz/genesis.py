"""Genesis files.

Invariant: text is a genesis whose written form reads back to it, and that has a block and an id,
or GenesisError with a message that can be shown.
"""

from edgenode.ledger.block import Block
from edgenode.ledger.genesis import GenesisError
from edgenode.ledger.genesis_file import format_genesis, parse_genesis


def one_input(data: bytes) -> bool:
    """Try one input; what is no UTF-8 never reaches the parser."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    try:
        genesis = parse_genesis(text)
    except GenesisError as error:
        str(error).encode()
        return False
    again = parse_genesis(format_genesis(genesis))
    assert again == genesis
    assert again.id == genesis.id
    assert Block.decode(genesis.block.encode()) == genesis.block
    assert len(genesis.member_keys) == len(genesis.members)
    assert 0 < genesis.limit < 1 << 256
    return True
