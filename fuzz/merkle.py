"""Merkle trees.

Invariant: the root is that of the definition, read top down; the first leaf's branch folds to
it; a list with its tail repeated so that the root stays is known as mutated.
"""

from edgenode.ledger.hashes import sha256d
from edgenode.ledger.merkle import first_leaf_branch, fold, is_mutated, merkle_root

LEAVES_LIMIT = 64


def one_input(data: bytes) -> bool:
    """Try the leaves that the input names: a byte each, so that equal ones are not rare."""
    leaves = [sha256d(bytes([byte])) for byte in data[:LEAVES_LIMIT]]
    try:
        root = merkle_root(leaves)
    except ValueError:
        assert not leaves
        return False
    assert root == _defined(leaves)
    branch = first_leaf_branch(leaves)
    assert len(branch) == (len(leaves) - 1).bit_length()
    assert fold(leaves[0], branch) == root
    size = 1
    while size < len(leaves):
        # The last whole group of this size, repeated, stands where the tree repeats it itself.
        if len(leaves) % (2 * size) == size:
            repeated = leaves + leaves[-size:]
            assert merkle_root(repeated) == root
            assert is_mutated(repeated)
        size *= 2
    if len(set(leaves)) == len(leaves):
        assert not is_mutated(leaves)
    return True


def _defined(leaves: list[bytes]) -> bytes:
    """The root by recursion: a tree is two halves, the left a power of two."""
    depth = (len(leaves) - 1).bit_length()
    return _subtree(leaves, depth)


def _subtree(leaves: list[bytes], depth: int) -> bytes:
    if depth == 0:
        return leaves[0]
    half = 1 << depth - 1
    left = _subtree(leaves[:half], depth - 1)
    return sha256d(left + (_subtree(leaves[half:], depth - 1) if leaves[half:] else left))
