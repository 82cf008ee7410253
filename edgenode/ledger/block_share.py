"""No member makes more than its share of the blocks while others would make them.

A pocket ASIC out-hashes thousands of boxes. With this rule it makes one captured member a member
that is always first, not the only one: whoever has made `SHARE_FACTOR` times the even share of the
last blocks must leave a pause above the parent, in which others find one. Only a pause, for when
the others are gone the last one goes on.

An even share is that of all members, not of those who made blocks of late: a miner that was alone
for a night would otherwise be the only one for ever, at a difficulty that no box meets. In the
pauses that it must leave the target comes back to one that boxes meet.
"""

from edgenode.ledger.encoding import u8
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.membership import members
from edgenode.ledger.records import Overlay, RecordKind, Records
from edgenode.ledger.rules import Rejected, Rule

SHARE_FACTOR = 2
"""Even boxes are lucky: of 128 blocks among 20, one makes 13 or more in one window of a hundred.
And while half of the members are awake the chain keeps its pace without a pause."""


def _key(height: int) -> bytes:
    return u8(RecordKind.MINED) + height.to_bytes(4)


def miners(records: Records) -> list[bytes]:
    """Who made the last blocks, oldest first; at most `share_window` − 1 of them."""
    return [miner for _, miner in records.under(u8(RecordKind.MINED))]


def share(genesis: Genesis, records: Records) -> int:
    """Blocks of a window that a member can make without a pause."""
    return max(1, SHARE_FACTOR * genesis.share_window // len(members(records)))


def earliest(genesis: Genesis, records: Records, miner: bytes, parent_time: int) -> int:
    """The lowest time (Unix seconds) that this rule lets a block by `miner` carry; 0 for any."""
    if miners(records).count(miner) < share(genesis, records):
        return 0
    return parent_time + genesis.share_rest


def check_share(
    genesis: Genesis, records: Records, miner: bytes, time: int, parent_time: int
) -> None:
    """Check a block by `miner` with this time; `records` are those at its parent.

    Raises:
        Rejected: it violates the rule.
    """
    lowest = earliest(genesis, records, miner, parent_time)
    if time < lowest:
        raise Rejected(
            Rule.BLOCK_SHARE,
            f"{miner.hex()} has made its share of the last {genesis.share_window} blocks; the next "
            f"one waits until {lowest}",
        )


def note(genesis: Genesis, records: Overlay, miner: bytes, height: int) -> None:
    """Note who made the block at this height."""
    records.set(_key(height), miner)
    records.set(_key(max(0, height - genesis.share_window + 1)), None)
