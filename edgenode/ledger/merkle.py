"""Bitcoin's merkle tree over transactions, with the check that its flaw asks for."""

from edgenode.ledger.hashes import sha256d


def merkle_root(leaves: list[bytes]) -> bytes:
    """The root over leaf hashes (32 bytes each, SHA-256d of the raw transactions).

    A level of odd length repeats its last hash, as in Bitcoin.

    Raises:
        ValueError: there is no leaf.
    """
    if not leaves:
        raise ValueError("a merkle tree has at least one leaf")
    level = leaves
    while len(level) > 1:
        if len(level) % 2:
            level = [*level, level[-1]]
        level = [sha256d(left + right) for left, right in zip(level[::2], level[1::2], strict=True)]
    return level[0]


def is_mutated(leaves: list[bytes]) -> bool:
    """Whether two equal hashes stand side by side as a pair at any level.

    Since an odd level repeats its last hash, a list with its tail repeated has the same root
    as the list without (CVE-2012-2459); an honest list never holds such a pair.
    """
    level = leaves
    while len(level) > 1:
        if any(left == right for left, right in zip(level[::2], level[1::2], strict=False)):
            return True
        if len(level) % 2:
            level = [*level, level[-1]]
        level = [sha256d(left + right) for left, right in zip(level[::2], level[1::2], strict=True)]
    return False


def first_leaf_branch(leaves: list[bytes]) -> list[bytes]:
    """The hashes that fold the first leaf, the coinbase, up to the root, bottom first.

    With them a miner changes the extranonce and finds the new root alone, as in Stratum.
    """
    branch = []
    level = leaves
    while len(level) > 1:
        if len(level) % 2:
            level = [*level, level[-1]]
        branch.append(level[1])
        level = [sha256d(left + right) for left, right in zip(level[::2], level[1::2], strict=True)]
    return branch


def fold(leaf: bytes, branch: list[bytes]) -> bytes:
    """The root above the first leaf, given its branch."""
    for sibling in branch:
        leaf = sha256d(leaf + sibling)
    return leaf
