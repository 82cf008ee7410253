"""The last final block as a node knows it: what has been final here stays so.

A branch may have a higher justified checkpoint than the chain and yet count fewer endorsements of
what lies below: by its records an earlier block is the last final one. The node that goes over to
it has seen the quorum all the same.
"""

from edgenode.ledger import finality
from edgenode.ledger.active_chain import ActiveChain
from edgenode.ledger.finality import Checkpoint
from edgenode.ledger.records import Records


def higher(before: Checkpoint, records: Records) -> Checkpoint:
    """The last final block after a move: that of before, or by the records a higher one."""
    return max(before, finality.final(records), key=lambda block: block.height)


def known_final(stored: Checkpoint | None, active: ActiveChain, records: Records) -> Checkpoint:
    """The last final block at a start: what was stored, or by the records at the head a higher one.

    A store that was made anew of a damaged one may end below what it was told is final.
    """
    if stored is not None:
        entry = active.at(stored.height)
        if entry is not None and entry.id == stored.id:
            return higher(stored, records)
    return finality.final(records)
