"""The active chain: from genesis to the head, found by height.

Mostly the head is on the trunk, and the active chain is the trunk up to it. While the trunk's
blocks are not here, or it was just overtaken, the head may be on another branch: then the ids from
where it leaves the trunk are held in memory.
"""

from edgenode.ledger.headers import Entry, HeaderTree


class ActiveChain:
    """Height → entry, for the chain that ends in the head."""

    def __init__(self, tree: HeaderTree, head: Entry) -> None:
        self._tree = tree
        self.head = head
        self._base = head
        self._detour: list[bytes] = []
        self._forks: dict[bytes, Entry] = {}
        self._find_base()

    def at(self, height: int) -> Entry | None:
        """The chain's entry at a height."""
        if height == self.head.height:
            return self.head
        if not 0 <= height < self.head.height:
            return None
        self._follow_trunk()
        if height <= self._base.height:
            return self._tree.at(height)
        return self._tree.get(self._detour[height - self._base.height - 1])

    def contains(self, entry: Entry) -> bool:
        """Whether an entry belongs to the chain."""
        return self.at(entry.height) == entry

    def fork(self, entry: Entry) -> Entry:
        """The entry's highest ancestor on the chain, or itself."""
        self._follow_trunk()
        joint = self._tree.joint(entry)
        if joint != self._base or not self._detour:
            return min(joint, self._base, key=lambda each: each.height)
        # It leaves the trunk where the chain does.
        return self._tree.descent(entry, self.contains, self._forks)

    def move(self, head: Entry) -> None:
        """The chain ends in this entry now."""
        self.head = head
        self._find_base()

    def _follow_trunk(self) -> None:
        if self._seen != self._tree.shifts:
            self._find_base()

    def _find_base(self) -> None:
        """Walk from the head to the trunk: no step at all but while the head is beside it."""
        self._seen = self._tree.shifts
        self._detour = []
        self._forks = {}
        entry = self.head
        while not self._tree.is_trunk(entry):
            self._detour.append(entry.id)
            below = self._tree.parent(entry)
            assert below is not None, "genesis is on the trunk"
            entry = below
        self._detour.reverse()
        self._base = entry
