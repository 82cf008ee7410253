"""How a block's new coins are split between its miner and those whose updates it counts."""

from collections.abc import Callable, Iterable, Sequence

from edgenode.ledger.genesis import Genesis
from edgenode.ledger.transaction import Update


def contributions(genesis: Genesis, updates: Sequence[Update]) -> list[tuple[bytes, int]]:
    """What each update's member gets, in the order of the updates.

    `contributors_percent` of the subsidy, split by examples (which `examples_cap` bounds) and
    rounded down; what rounding leaves goes to the miner.
    """
    part = genesis.subsidy * genesis.contributors_percent // 100
    total = sum(update.examples for update in updates)
    return [(update.member, part * update.examples // total) for update in updates]


def miners_part(genesis: Genesis, fees: int, shares: Sequence[tuple[bytes, int]]) -> int:
    """What the coinbase pays out: the subsidy and the fees, less what contributors get."""
    return genesis.subsidy + fees - sum(amount for _, amount in shares)


def split(
    amount: int,
    miner: bytes,
    weights: Iterable[tuple[bytes, int]],
    may_be_paid: Callable[[bytes, int], bool] = lambda _key, _amount: True,
) -> list[tuple[bytes, int]]:
    """Payouts of an amount by weight: each rounded down, the rest to the miner, who stands first.

    Keys that occur twice are one; what comes to nothing is left out, and what `may_be_paid` does
    not allow is the miner's.
    """
    by_key: dict[bytes, int] = {}
    for key, weight in weights:
        by_key[key] = by_key.get(key, 0) + weight
    total = sum(by_key.values())
    due = {key: amount * weight // total for key, weight in by_key.items()}
    shares = {key: share for key, share in due.items() if may_be_paid(key, share)}
    rest = amount - sum(share for key, share in shares.items() if key != miner)
    paid = [(miner, rest), *((k, s) for k, s in sorted(shares.items()) if k != miner)]
    return [(key, share) for key, share in paid if share]
