"""All branches that are known: where they end, and which of their blocks are not here."""

from collections import Counter
from collections.abc import Iterator

from edgenode.ledger.headers import Entry, HeaderTree

BARE_LIMIT = 8000
"""Headers without their block, at about 500 bytes, besides as many as the chain itself has: of a
branch all must be known up to where it is heavier than the chain, however deep the fork. Beyond
that the lightest branches are forgotten: they cost their maker work, but little at easy targets."""


class Branches:
    """The tips of a header tree, and its entries whose block is not here (bare ones)."""

    def __init__(self, tree: HeaderTree) -> None:
        """Start with the tree's root, whose block is always here."""
        self._tree = tree
        self._tips: dict[bytes, Entry] = {tree.root.id: tree.root}
        self._bare: dict[bytes, Entry] = {}
        self._best: Entry | None = tree.root

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._tips.values()))

    def extend(self, entry: Entry, *, bare: bool) -> None:
        """An entry was added to the tree."""
        if entry.parent is not None:
            self._tips.pop(entry.parent.id, None)
        self._tips[entry.id] = entry
        if bare:
            self._bare[entry.id] = entry
        if self._best is not None and entry.work > self._best.work:
            self._best = entry

    def block_came(self, entry: Entry) -> None:
        """The entry's block is here from now on."""
        self._bare.pop(entry.id, None)

    def is_bare(self, entry: Entry) -> bool:
        """Whether the entry's block is not here."""
        return entry.id in self._bare

    def best(self, head: Entry) -> Entry:
        """The tip with the most work; of equal ones the head."""
        if self._best is None:
            self._best = max(self._tips.values(), key=lambda entry: entry.work)
        return head if head.work >= self._best.work else self._best

    def heavier(self, head: Entry) -> list[Entry]:
        """The tips with more work than the head, heaviest first."""
        return sorted((t for t in self if t.work > head.work), key=lambda entry: -entry.work)

    def cut(self, stem: Entry) -> list[Entry]:
        """An entry and all that build on it count no more; returns them, the entry among them."""
        assert stem.parent is not None, "the root is never cut"
        gone: dict[bytes, Entry] = {}
        for tip in self:
            above = []
            for entry in tip.lineage():
                if entry.height < stem.height:
                    break
                above.append(entry)
            if above and above[-1] is stem:
                del self._tips[tip.id]
                gone.update((entry.id, entry) for entry in above)
        for name in gone:
            self._bare.pop(name, None)
        self._tips[stem.parent.id] = stem.parent
        self._best = None
        return list(gone.values())

    def prune(self, height: int) -> None:
        """Forget the lightest bare branches, should there be too many for a chain this high."""
        if len(self._bare) <= BARE_LIMIT + height:
            return
        children = Counter(entry.header.previous for entry in self._tree)
        for tip in sorted(self, key=lambda entry: entry.work):
            entry = tip
            while entry.id in self._bare and not children[entry.id]:
                assert entry.parent is not None, "the root is not bare"
                self._tips.pop(entry.id, None)
                del self._bare[entry.id]
                self._tree.forget(entry)
                children[entry.parent.id] -= 1
                entry = entry.parent
            if entry is not tip and not children[entry.id]:
                self._tips[entry.id] = entry
            if len(self._bare) <= BARE_LIMIT // 2 + height:
                break
        self._best = None
