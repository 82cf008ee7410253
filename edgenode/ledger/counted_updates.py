"""Which updates a chain has counted: at most one for each model, member and base.

An update's base is an ancestor, so its height names it; records of bases that have become stale
are dropped.
"""

from edgenode.ledger.encoding import u8
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.records import Overlay, RecordKind, Records
from edgenode.ledger.transaction import Update


def _of_base(base_height: int) -> bytes:
    return u8(RecordKind.COUNTED) + base_height.to_bytes(4)


def _key(update: Update, base_height: int) -> bytes:
    return _of_base(base_height) + u8(update.model) + update.member


def is_counted(records: Records, update: Update, base_height: int) -> bool:
    """Whether the chain holds the member's update of this model on this base."""
    return records.get(_key(update, base_height)) is not None


def note(records: Overlay, update: Update, base_height: int) -> None:
    """Note an update as counted."""
    records.set(_key(update, base_height), b"")


def forget_stale(genesis: Genesis, records: Overlay, height: int) -> None:
    """Drop what no block above this height can repeat."""
    stale = height - len(genesis.discounts)
    if stale >= 0:
        for key, _ in list(records.under(_of_base(stale))):
            records.set(key, None)
