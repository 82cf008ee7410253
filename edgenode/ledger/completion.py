"""How much of the branches that might be better is here, and what they lack.

Both are asked for with every datagram and change with few of them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edgenode.ledger.active_chain import ActiveChain
from edgenode.ledger.fork_choice import ForkChoice
from edgenode.ledger.headers import Entry, HeaderTree
from edgenode.ledger.lacking import Lacking
from edgenode.ledger.transaction import Update
from edgenode.ledger.validation import State

BRANCHES_LOOKED_AT = 64
"""Branches heavier than the chain, the heaviest, that are looked at for what they lack: where
blocks come quickly there are branches by the hundred."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Data that branches lack which may be better, nearest to the head first."""

    blocks: tuple[bytes, ...]
    updates: tuple[Update, ...]


class _Gap(NamedTuple):
    """Where a branch has its first gap.

    Attributes:
        reached: the highest entry up to which it is complete; where it leaves the chain, if none.
        lowest: the entry above, whose block or a payload of it is lacking; None if none is.
    """

    reached: Entry
    lowest: Entry | None


_Seen = tuple[object, ...]


class _RefusedError(Exception):
    """A block of the branches was refused."""


class Completion:
    """Follows what is here of each branch; to be told when something was taken back."""

    def __init__(
        self,
        tree: HeaderTree,
        active: ActiveChain,
        choice: ForkChoice,
        lacking: Lacking,
        *,
        has_block: Callable[[Entry], bool],
        updates: Callable[[Entry, Entry], Sequence[Update] | None],
    ) -> None:
        """Start knowing nothing.

        Args:
            tree: all headers.
            active: the chain that ends in the head.
            choice: which branches might be better.
            lacking: the payloads that stored blocks lack.
            has_block: whether an entry's block is here.
            updates: the updates of an entry's block, which is here as all below it are, on the way
                to a tip; None if the block had to be refused.
        """
        self._tree = tree
        self._active = active
        self._choice = choice
        self._lacking = lacking
        self._has_block = has_block
        self._updates = updates
        self._trunk: tuple[Entry, Entry] | None = None
        self._gaps: dict[bytes, _Gap] = {}
        self._trunk_gap: _Gap | None = None
        self._gaps_of: _Seen = ()
        self._best: tuple[_Seen, Entry | None] | None = None
        self._wanted: tuple[_Seen, Wanted] | None = None

    def forget(self) -> None:
        """Something that was here is not any more, or the chain is another."""
        self._trunk = None

    def best(self, state: State) -> Entry | None:
        """The best entry that the head could move to and whose whole branch is here, if any."""
        candidates = self._choice.candidates(state)
        seen = self._seen()
        if self._best is None or self._best[0] != seen:
            self._best = seen, self._find_best(candidates, state)
        return self._best[1]

    def wanted(self, state: State, limit: int, preferred: Iterable[Entry]) -> Wanted:
        """Up to `limit` missing blocks, and updates with missing payload, nearest first.

        Every branch that might be better has its share, those up to the `preferred` before
        others: the heaviest may be one whose blocks nobody has. Branches that lack the same block
        first are one.
        """
        preferred = tuple(preferred)
        while True:
            candidates = self._choice.candidates(state)
            seen = self._seen(limit, *preferred)
            if self._wanted is not None and self._wanted[0] == seen:
                return self._wanted[1]
            heaviest = candidates[:BRANCHES_LOOKED_AT]
            promised = [tip for tip in candidates if tip.work <= state.entry.work]
            tips = dict.fromkeys((*preferred, *heaviest, *promised))
            known = [tip for tip in tips if self._tree.get(tip.id) is not None]
            try:
                self._wanted = seen, self._find_wanted(known, limit)
            except _RefusedError:
                continue  # branches went with the block that was refused

    def _seen(self, *asked: object) -> _Seen:
        """What is not equal once anything is otherwise than it was."""
        return (self._choice.changes, self._lacking.changes, *asked)

    def _find_best(self, candidates: Iterable[Entry], state: State) -> Entry | None:
        reached = dict.fromkeys(self._gap(tip).reached for tip in candidates)
        heaviest_first = sorted(reached, key=lambda entry: -entry.work)
        return next((e for e in heaviest_first if self._choice.could_win(e, state)), None)

    def _find_wanted(self, tips: Iterable[Entry], limit: int) -> Wanted:
        lacking: dict[Entry, tuple[list[bytes], list[Update]]] = {}
        for tip in tips:
            gap = self._gap(tip)
            if gap.lowest is not None and gap.lowest not in lacking:
                lacking[gap.lowest] = self._lacking_of(tip, gap, limit)
            if len(lacking) == limit:
                break
        share = max(2, limit // max(1, len(lacking)))
        blocks: dict[bytes, None] = {}
        updates: dict[bytes, Update] = {}
        for lacking_blocks, lacking_updates in lacking.values():
            blocks.update(dict.fromkeys(lacking_blocks[:share]))
            updates.update({update.id: update for update in lacking_updates[:share]})
        return Wanted(tuple(blocks)[:limit], tuple(updates.values())[:limit])

    def _lacking_of(self, tip: Entry, gap: _Gap, limit: int) -> tuple[list[bytes], list[Update]]:
        blocks: list[bytes] = []
        updates: list[Update] = []
        for entry in self._tree.ascent(gap.reached, tip):
            if not self._has_block(entry):
                blocks.append(entry.id)
            elif not blocks and (lacking := self._lacking.of(entry.id)):
                of_block = self._updates(entry, tip)
                if of_block is None:
                    raise _RefusedError
                updates += [update for update in of_block if update.payload in lacking]
            if len(blocks) >= limit or len(updates) >= limit:
                break
        return blocks[:limit], updates[:limit]

    def _is_complete(self, entry: Entry) -> bool:
        return self._has_block(entry) and self._lacking.is_complete(entry.id)

    def _gap(self, tip: Entry) -> _Gap:
        """The first gap of the branch to a tip.

        Branches by the hundred may share most of their way: none of it is gone twice.
        """
        seen = (self._active.head, self._tree.shifts, self._lacking.changes)
        if self._gaps_of != seen:
            self._gaps_of = seen
            self._gaps = {}
            self._trunk_gap = None
        fork, joint = self._active.fork(tip), self._tree.joint(tip)
        gap = _Gap(fork, None)
        if joint.height > fork.height:
            gap = self._gap_of_trunk(fork)
            if gap.lowest is not None and gap.lowest.height <= joint.height:
                return gap
            gap = _Gap(joint, None)
        # What is beside the trunk, down to what is known of it.
        walked = []
        entry = tip
        while entry != gap.reached and entry.id not in self._gaps:
            walked.append(entry)
            below = self._tree.parent(entry)
            assert below is not None, "a branch leaves the chain somewhere"
            entry = below
        gap = self._gaps.get(entry.id, gap)
        for entry in reversed(walked):
            if gap.lowest is None:
                complete = self._is_complete(entry)
                gap = _Gap(entry, None) if complete else _Gap(gap.reached, entry)
            self._gaps[entry.id] = gap
        return gap

    def _gap_of_trunk(self, fork: Entry) -> _Gap:
        """The first gap of the trunk above where it leaves the chain.

        It may be far above, and stays known while blocks come.
        """
        known = self._trunk_gap
        if known is not None and (known.lowest is not None or known.reached == self._tree.tip):
            return known
        reached = fork
        if self._trunk is not None and self._trunk[0] == fork:
            reached = self._trunk[1] if self._tree.is_trunk(self._trunk[1]) else fork
        above = self._tree.at(reached.height + 1)
        while above is not None and self._is_complete(above):
            reached, above = above, self._tree.at(above.height + 1)
        self._trunk = fork, reached
        self._trunk_gap = _Gap(reached, above)
        return self._trunk_gap
