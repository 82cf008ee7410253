"""What shows to be wrong with a block before its payloads are here.

To pull the payloads of a block costs megabytes, and who has the ward's key and hash rate, but no
member's key, could have every node pull them. Whether the miner and those who have trained are
members shows from the records at the head and the blocks of the branch alone.
"""

from collections.abc import Iterable

from edgenode.ledger import membership
from edgenode.ledger.block import Block
from edgenode.ledger.enrolment import Enrolment
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.headers import Entry
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.validation import State, check_members


def fault(
    genesis: Genesis, state: State, entry: Entry, block: Block, branch: Iterable[Block]
) -> Rejected | None:
    """Why a block cannot be valid, if that shows already.

    Args:
        genesis: the constants.
        state: the state at the head.
        entry: the block's, on a branch that holds the last final block.
        block: the block.
        branch: the blocks of its branch above where that leaves the chain, its own among them.
    """
    if entry.header.previous == state.entry.id:
        try:
            check_members(genesis, state.records, state.entry, block)
        except Rejected as rejected:
            return Rejected(rejected.rule, rejected.detail)
        return None
    # Whoever was a member at the fork has a record still: that of a revoked one goes when its
    # revocation is final, and then it lies below the fork.
    unknown = {
        key
        for key in (block.coinbase.miner, *(update.member for update in block.updates))
        if not membership.has_record(state.records, key)
    }
    if unknown:
        enrolled = (t.member for each in branch for t in each.changes if isinstance(t, Enrolment))
        unknown.difference_update(enrolled)
    if block.coinbase.miner in unknown:
        return Rejected(Rule.BLOCK_MEMBER, f"{block.coinbase.miner.hex()} is no member")
    if unknown:
        return Rejected(Rule.UPDATE_MEMBER, f"{min(unknown).hex()} is no member")
    return None
