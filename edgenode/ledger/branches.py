"""The branches beside the trunk: which of them could still win, and how many there may be."""

from collections import Counter
from collections.abc import Callable

from edgenode.ledger.active_chain import ActiveChain
from edgenode.ledger.headers import Entry, HeaderTree

BARE_LIMIT = 8000
"""Headers beside the trunk whose block is not here, some 200 bytes on the disk each, besides as
many as the chain itself has: of a branch all must be known up to where it is heavier, however deep
the fork. Beyond that the lightest branches are forgotten: they cost their maker work, but little
at easy targets. The trunk needs no bound: its targets keep it to one header for each spacing."""


class Branches:
    """The tips of a header tree that could become the head."""

    def __init__(
        self, tree: HeaderTree, active: ActiveChain, has_block: Callable[[bytes], bool]
    ) -> None:
        """Watch a tree; `has_block` says whether the block with an id is here."""
        self._tree = tree
        self._active = active
        self._has_block = has_block
        # Tips beside the trunk with more work than the head. While that gets no lighter, no other
        # has to be remembered until it grows.
        self._tips: dict[bytes, Entry] = {}
        self._weighed = -1
        self._seen = -1
        self._bare: int | None = None
        self._counted_at = 0

    def heavier(self) -> list[Entry]:
        """The tips with more work than the head, heaviest first."""
        work = self._active.head.work
        if work < self._weighed:
            self._seen = -1
        self._weighed = work
        self._follow_tree()
        self._tips = {name: tip for name, tip in self._tips.items() if tip.work > work}
        beside = sorted(self._tips.values(), key=lambda entry: -entry.work)
        return [self._tree.tip, *beside] if self._tree.tip.work > work else beside

    def grown(self, parent: Entry, tip: Entry) -> None:
        """The tree has taken up what builds on `parent` and ends in `tip`."""
        if self._seen == self._tree.shifts and tip != self._tree.tip:
            self._tips.pop(parent.id, None)
            self._tips[tip.id] = tip

    def cut(self, stem: Entry) -> set[bytes]:
        """An entry and all that build on it count no more; returns their ids."""
        return self._tree.cut(stem)

    def prune(self) -> None:
        """Forget the lightest bare branches, should there be too many for a chain this high."""
        limit = BARE_LIMIT + self._active.head.height
        if self._at_most() <= limit:
            return
        beside = list(self._tree.beside())
        bare = {entry.id: entry for entry in beside if not self._has_block(entry.id)}
        if len(bare) > limit:
            doomed = _lightest(beside, bare, len(bare) - BARE_LIMIT // 2 - self._active.head.height)
            self._tree.forget(doomed)
            for name in doomed:
                del bare[name]
        self._bare, self._counted_at = len(bare), self._tree.added_beside

    def _at_most(self) -> float:
        """How many bare entries there may be beside the trunk; counting costs more."""
        if self._bare is None:
            return float("inf")
        return self._bare + self._tree.added_beside - self._counted_at

    def _follow_tree(self) -> None:
        if self._seen == self._tree.shifts:
            return
        self._seen = self._tree.shifts
        heavier = {entry.id: entry for entry in self._tree.beside(self._active.head.work)}
        # What builds on one of them is heavier still, and so among them.
        inner = {entry.header.previous for entry in heavier.values()}
        self._tips = {name: entry for name, entry in heavier.items() if name not in inner}


def _lightest(beside: list[Entry], bare: dict[bytes, Entry], count: int) -> set[bytes]:
    """Ids of about `count` bare entries that nothing else builds on, from the lightest tips down.

    Args:
        beside: All entries beside the trunk.
        bare: By id, those of them whose block is not here.
        count: How many are to go.
    """
    children = Counter(entry.header.previous for entry in beside)
    doomed: set[bytes] = set()
    tips = [entry for entry in beside if not children[entry.id]]
    for tip in sorted(tips, key=lambda entry: entry.work):
        entry = bare.get(tip.id)
        while entry is not None and not children[entry.id] and len(doomed) < count:
            doomed.add(entry.id)
            children[entry.header.previous] -= 1
            entry = bare.get(entry.header.previous)
    return doomed
