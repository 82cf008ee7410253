"""How much of the chain a node keeps: bodies of blocks and payloads below a height are let go.

What is let go, only a node that keeps all can still show; headers stay everywhere. The lowest kept
block is one whose state is stored, so that the kept part can be checked again by itself.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from edgenode.ledger.genesis import Genesis
from edgenode.ledger.store import ChainStore
from edgenode.ledger.transaction import STATE_INTERVAL

log = logging.getLogger(__name__)

KEPT_BLOCKS = 1920
"""Two days at a spacing of 90 s: a box that comes back later takes over a state instead."""

LEAST_STATES = 4
"""States, 128 blocks apart, that stay in any case, with the blocks from the lowest up."""


STATES_SHOWN = 16
"""States below the head that also an archive keeps, for those who join."""

LET_GO_AT_ONCE = 16
"""Blocks that are forgotten at a time, after a move of the head: with their payloads some 30 MB in
a usual ward, so that nothing else waits for it."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What a person wants kept.

    `blocks` below the head and below the last final block, as long as the store has less than
    `bytes`; with more, fewer. None for all there are.
    """

    blocks: int | None = KEPT_BLOCKS
    bytes: int | None = None

    def floor(
        self,
        genesis: Genesis,
        *,
        current: int,
        head: int,
        final: int,
        states: Sequence[int],
        used: int,
    ) -> int:
        """The height from which blocks should be kept on; `current` or more.

        Args:
            genesis: the constants.
            current: the height from which they are kept.
            head: height of the head.
            final: height of the last final block.
            states: heights of the stored states, ascending.
            used: bytes that the store has.
        """
        if self.blocks is None:
            return current
        possible = [h for h in states if current < h <= head - least_kept(genesis)]
        wanted = [h for h in possible if h <= min(head - self.blocks, final)]
        if wanted:
            return wanted[-1]
        # Rather a node without a past than a ward without nodes: a full disk stops everything.
        if self.bytes is not None and used > self.bytes and possible:
            return possible[0]
        return current


ALL = Retention(None, None)
"""An archive."""


def least_kept(genesis: Genesis) -> int:
    """Blocks below the head that every node keeps, for those who join or come back."""
    return LEAST_STATES * STATE_INTERVAL + 4 * genesis.checkpoint_interval


def let_go(
    store: ChainStore, genesis: Genesis, retention: Retention, head: int, final: int
) -> bool:
    """Take one step towards what is wanted; `head` and `final` are heights.

    Returns:
        Whether blocks went.
    """
    kept = STATE_INTERVAL + (retention.blocks or 0)
    store.forget_states(head - max(STATES_SHOWN * STATE_INTERVAL, kept))
    if retention.blocks is not None and store.drop_below_floor(LET_GO_AT_ONCE):
        return True
    current = store.floor()
    floor = retention.floor(
        genesis,
        current=current,
        head=head,
        final=final,
        states=store.states(),
        used=store.used_bytes(),
    )
    if floor > current:
        log.info("blocks below are let go", extra={"height": floor})
        if floor > final:
            log.warning(
                "for want of room also blocks above the last final one are let go: this node can "
                "follow no branch any more that leaves the chain below, unless it can join it",
                extra={"height": floor, "final": final},
            )
        store.raise_floor(floor)
    return False
