"""How much of the branches that might be better is here, and what they lack.

Both are asked for with every datagram and change with few of them.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

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
        best: Entry | None = None
        incomplete: set[bytes] = set()  # the lowest of each branch: hundreds may share one
        weighed: set[bytes] = set()  # what lies below these
        for tip in candidates:
            reached, above = self._ascent(tip)
            for entry in above:
                if entry.id in incomplete or not self._is_complete(entry):
                    incomplete.add(entry.id)
                    break
                reached = entry
            if tip == self._tree.tip:
                self._trunk = self._active.fork(tip), reached
            if reached.id not in weighed and (best is None or reached.work > best.work):
                weighed.add(reached.id)
                best = reached if self._choice.could_win(reached, state) else best
        return best

    def _find_wanted(self, tips: Iterable[Entry], limit: int) -> Wanted:
        lacking: dict[bytes, tuple[list[bytes], list[Update]]] = {}
        for tip in tips:
            first = self._first_lacking(tip, lacking)
            if first is not None and any(of_tip := self._lacking_of(tip, limit)):
                lacking[first] = of_tip
            if len(lacking) == limit:
                break
        share = max(2, limit // max(1, len(lacking)))
        blocks: dict[bytes, None] = {}
        updates: dict[bytes, Update] = {}
        for lacking_blocks, lacking_updates in lacking.values():
            blocks.update(dict.fromkeys(lacking_blocks[:share]))
            updates.update({update.id: update for update in lacking_updates[:share]})
        return Wanted(tuple(blocks)[:limit], tuple(updates.values())[:limit])

    def _first_lacking(self, tip: Entry, known: Container[bytes]) -> bytes | None:
        """The lowest block of a branch that is not complete, if it is none of those known."""
        for entry in self._ascent(tip)[1]:
            if entry.id in known:
                return None
            if not self._is_complete(entry):
                return entry.id
        return None

    def _lacking_of(self, tip: Entry, limit: int) -> tuple[list[bytes], list[Update]]:
        blocks: list[bytes] = []
        updates: list[Update] = []
        for entry in self._ascent(tip)[1]:
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

    def _ascent(self, tip: Entry) -> tuple[Entry, Iterator[Entry]]:
        """A branch from where it leaves the chain, but for what is known to be complete.

        That is the trunk's, which hundreds of branches may share. Returned are an entry up to which
        the branch is complete, and the entries above it.
        """
        start = self._active.fork(tip)
        if self._trunk is not None and self._trunk[0] == start:
            reached, joint = self._trunk[1], self._tree.joint(tip)
            if self._tree.is_trunk(reached) and joint.height > start.height:
                start = min(joint, reached, key=lambda entry: entry.height)
        return start, self._tree.ascent(start, tip)
