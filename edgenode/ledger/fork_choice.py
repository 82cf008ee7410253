"""Which branches might be better than the chain.

The better of two valid branches is the one whose highest justified checkpoint is higher; of equal
ones that with more work. What a branch has justified is known once it was validated; this file
decides with less which are worth it.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from edgenode.ledger.active_chain import ActiveChain
from edgenode.ledger.branches import Branches
from edgenode.ledger.finality import Checkpoint
from edgenode.ledger.hashes import display
from edgenode.ledger.headers import Entry, HeaderTree
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.validation import State

PROMISES_LIMIT = 64
"""Branches that are lighter than the chain and said to be better; a peer can promise what it
likes, and each costs the pull of a branch."""

REMEMBERED_LIMIT = 4096
"""Blocks whose endorsements are remembered, and branches that were validated in vain."""

Value = TypeVar("Value")


class ForkChoice:
    """Keeps what is known of branches beside their work."""

    def __init__(
        self,
        tree: HeaderTree,
        branches: Branches,
        active: ActiveChain,
        endorsed: Callable[[Entry], int],
        *,
        floor: Callable[[], int],
        final: Callable[[], Checkpoint],
    ) -> None:
        """Start knowing nothing.

        Args:
            tree: all headers.
            branches: where branches end.
            active: the chain that ends in the head.
            endorsed: gives the highest checkpoint that a stored block endorses, 0 for none.
            floor: gives the height from which the chain's blocks are kept.
            final: gives the last final block.
        """
        self._tree = tree
        self._branches = branches
        self._active = active
        self._endorsed_in = endorsed
        self._floor = floor
        self._final = final
        self._endorsed: OrderedDict[bytes, int] = OrderedDict()
        self._promised: OrderedDict[bytes, int] = OrderedDict()
        self._beaten: OrderedDict[bytes, None] = OrderedDict()
        self._candidates: tuple[object, list[Entry]] | None = None
        self.changes = 0
        """How often the candidates were worked out since the start."""

    def promise(self, block_id: bytes, justified: int) -> None:
        """A peer says that a checkpoint of this height is justified at a block, its head.

        Such a branch is asked for although it may be lighter than the chain.
        """
        if self._promised.get(block_id) == justified:
            self._promised.move_to_end(block_id)
            return  # every peer says so again with every datagram
        _note(self._promised, block_id, justified, PROMISES_LIMIT)
        self._candidates = None

    def beaten(self, tip: Entry) -> None:
        """A branch was validated up to here and is no better than the chain."""
        self._promised.pop(tip.id, None)
        self._candidates = None
        _note(self._beaten, tip.id, None, REMEMBERED_LIMIT)

    def candidates(self, state: State) -> list[Entry]:
        """Tips that might be better than the chain that ends in `state`, heaviest first.

        None of them leaves the last final block, nor the chain where its blocks are not kept.
        """
        tree, floor = self._tree, self._floor()
        # Asked for with every datagram, while all it depends on changes with few of them.
        seen = (state.entry, self._active.head, tree.tip, tree.shifts, tree.added_beside, floor)
        if self._candidates is None or self._candidates[0] != seen:
            tips = self.tips(state)
            found = [tip for tip in tips if self._leaves_above(floor, tip)]
            self._candidates = seen, found
            self.changes += 1
        return self._candidates[1]

    def tips(self, state: State) -> list[Entry]:
        """Candidates, and tips that the chain could only join, by a state above where they fork."""
        tips = {tip.id: tip for tip in self._branches.heavier()}
        for block_id, justified in list(self._promised.items()):
            entry = self._tree.get(block_id)
            if justified <= state.justified:
                del self._promised[block_id]
            elif entry is not None:
                tips.setdefault(block_id, entry)
        if not tips:
            return []
        final = self._final().height
        return [tip for tip in tips.values() if self._leaves_above(final, tip)]

    def _leaves_above(self, lowest: int, tip: Entry) -> bool:
        """Whether a branch leaves the chain at this height or above, and leaves it at all."""
        return lowest <= self._active.fork(tip).height < tip.height

    def heaviest(self, state: State) -> Entry:
        """The entry with the most work that the chain could go on to, or its head."""
        return max([state.entry, *self.candidates(state)], key=lambda entry: entry.work)

    def is_candidate(self, entry: Entry, state: State) -> bool:
        """Whether the branch up to an entry might be better than the chain, and can be followed."""
        if entry.work <= state.entry.work and entry.id not in self._promised:
            return False
        return self._leaves_above(max(self._floor(), self._final().height), entry)

    def check(self, parent: Entry) -> None:
        """Check whether a header may build on this entry.

        Raises:
            Rejected: the branch leaves the last final block; no weight could make it the best.
        """
        fork = self._active.fork(parent)
        if fork == self._active.head:
            return  # the usual case: the head holds the final block
        final = self._final()
        if fork.height < final.height:
            raise Rejected(
                Rule.BELOW_FINAL,
                f"it leaves the final block {display(final.id)} at height {final.height}",
            )

    def could_win(self, reached: Entry, state: State) -> bool:
        """Whether the branch up to a complete entry may be better than the chain.

        It needs the endorsements for it: without them it stays behind at any weight.
        """
        if reached.id in self._beaten:
            return False
        fork = self._active.fork(reached)
        heavier = reached.work > state.entry.work
        if heavier and fork.height >= state.justified:
            return True
        above = self._tree.ascent(fork, reached)
        endorsed = max((self._highest_endorsed(entry) for entry in above), default=0)
        return endorsed > state.justified or (heavier and endorsed == state.justified)

    def _highest_endorsed(self, entry: Entry) -> int:
        known = self._endorsed.get(entry.id)
        if known is None:
            known = self._endorsed_in(entry)
            _note(self._endorsed, entry.id, known, REMEMBERED_LIMIT)
        return known


def _note(known: OrderedDict[bytes, Value], key: bytes, value: Value, limit: int) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > limit:
        known.popitem(last=False)
