"""What a chain says of the moves of its head."""

from dataclasses import dataclass

from edgenode.ledger.block import Block
from edgenode.ledger.headers import Entry
from edgenode.ledger.rules import Rejected


@dataclass(frozen=True, slots=True)
class HeadChange:
    """The head moved: `disconnected` blocks from the old tip down, `connected` from the fork up."""

    old: Entry
    new: Entry
    disconnected: tuple[Block, ...]
    connected: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A block that was taken up but failed full validation."""

    entry: Entry
    rejected: Rejected
