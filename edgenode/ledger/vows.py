"""How an honest member endorses: its vows, which it writes down before it speaks."""

from dataclasses import dataclass
from typing import Protocol

from edgenode.ledger import finality
from edgenode.ledger.endorsement import Endorsement
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.headers import Lookup
from edgenode.ledger.keys import SIGNATURE_BYTES, MemberKey
from edgenode.ledger.membership import is_voter
from edgenode.ledger.validation import State, ancestors

DEPTH = 1
"""Blocks on top of a checkpoint before it is endorsed: of two that were found at once one has lost
by then, most often."""

ABSTAINED_INTERVALS = 2
"""Checkpoint intervals in which a member does not endorse whose vow is gone with its disk, or so
far below the head that it might be one from before the chain was found again: what the member
endorsed before its loss lies below."""


@dataclass(frozen=True, slots=True)
class Vow:
    """The highest source and target (heights) that a member has endorsed.

    It never again endorses a target at or below this one, nor from a source below this one.
    """

    source: int
    target: int


class VowStore(Protocol):
    """Where a vow survives a power cut."""

    def vow(self) -> Vow | None:
        """The vow that was kept last."""

    def keep_vow(self, vow: Vow) -> None:
        """Keep a vow in the place of the last; durable when it returns."""


class Voter:
    """Endorses checkpoints for one member."""

    def __init__(self, genesis: Genesis, key: MemberKey, store: VowStore) -> None:
        self._genesis = genesis
        self._key = key
        self._store = store

    def endorse(self, state: State, lookup: Lookup) -> Endorsement | None:
        """The endorsement that is due at this head, if there is one; the vow is kept by then."""
        interval = self._genesis.checkpoint_interval
        head = state.entry.height
        vow = self._store.vow()
        target = max(0, head - DEPTH) // interval * interval
        silence = ABSTAINED_INTERVALS * interval
        if vow is None or target > vow.target + silence:
            source_kept = state.justified if vow is None else vow.source
            self._store.keep_vow(Vow(source_kept, head + silence))
            return None
        source = finality.highest_justified(state.records)
        if (
            target <= max(vow.target, source.height)
            or source.height < vow.source
            or not is_voter(state.records, self._key.public, finality.final(state.records).height)
        ):
            return None
        self._store.keep_vow(Vow(source.height, target))
        return Endorsement(
            member=self._key.public,
            source_height=source.height,
            source=source.id,
            target_height=target,
            target=ancestors(state.entry, lookup)(target),
            signature=bytes(SIGNATURE_BYTES),
        ).signed(self._key, self._genesis.id)
