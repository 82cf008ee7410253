"""Which split to ask the node's work with: a small seam between shares and the ledger's coinbase.

The node pays a block as `GET /v1/work?pay=KEY:WEIGHT&…` says. The split is set anew when the
head moves and then stands for the whole round, so that miners are not sent new work for each
share.
"""

from __future__ import annotations

from edgenode.mining.share_ledger import ShareLedger

Pay = tuple[tuple[bytes, int], ...]
"""Public keys with their weights."""


class PoolRound:
    """Closes the ledger's rounds as heads come, and gives the split of each."""

    def __init__(self, ledger: ShareLedger) -> None:
        """Begin before the first head; the ledger's kept rounds count at once."""
        self.ledger = ledger
        self._previous: bytes | None = None
        self._refused = False

    @property
    def pay(self) -> Pay:
        """What to ask work with now; nothing pays the node alone."""
        if self._refused:
            return ()
        return self.ledger.split()

    def is_new(self, previous: bytes) -> bool:
        """Whether work on this block would be that of another round."""
        return previous != self._previous

    def on_head(self, previous: bytes) -> bool:
        """Work on this block came; whether that closed a round in which somebody shared."""
        if previous == self._previous:
            return False
        is_first = self._previous is None
        self._previous = previous
        self._refused = False
        return not is_first and self.ledger.close_round()

    def refused(self) -> bool:
        """The node refused the split: ask without one until the head moves.

        One payee that the ledger does not take must not stop the mining of all. Returns whether
        there was a split that could have been at fault.
        """
        had_one = bool(self.pay)
        self._refused = True
        return had_one
