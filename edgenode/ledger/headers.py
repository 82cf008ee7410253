"""The tree of known headers and the rules that a header obeys among its ancestors."""

from collections.abc import Iterator
from dataclasses import dataclass

from edgenode.ledger.difficulty import next_target
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.hashes import display
from edgenode.ledger.header import HEADER_VERSION, Header
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.target import TargetError, compress, expand, meets, work

MEDIAN_TIME_BLOCKS = 11
"""Bitcoin's window: a minority of forged clocks among eleven cannot move the median far."""


class UnknownParentError(LookupError):
    """The parent of a header is not known here; ask for it."""

    def __init__(self, header: Header) -> None:
        super().__init__(f"parent {display(header.previous)} is unknown")
        self.header = header


@dataclass(frozen=True, eq=False, slots=True)
class Entry:
    """A header in its place: height above genesis and total work of its branch (hashes)."""

    header: Header
    height: int
    work: int
    parent: "Entry | None"

    @property
    def id(self) -> bytes:
        """The block's id."""
        return self.header.id

    def lineage(self) -> Iterator["Entry"]:
        """This entry and its ancestors, down to genesis."""
        entry: Entry | None = self
        while entry is not None:
            yield entry
            entry = entry.parent

    def median_time_past(self) -> int:
        """The median time of this block and the ten before it (BIP 113)."""
        times = sorted(
            entry.header.time
            for entry, _ in zip(self.lineage(), range(MEDIAN_TIME_BLOCKS), strict=False)
        )
        return times[len(times) // 2]


def fork_point(one: Entry, other: Entry) -> Entry:
    """The highest common ancestor of two entries of one tree."""
    while one is not other:
        if one.height >= other.height:
            assert one.parent is not None, "one tree has one genesis"
            one = one.parent
        else:
            assert other.parent is not None, "one tree has one genesis"
            other = other.parent
    return one


def branch(above: Entry, tip: Entry) -> list[Entry]:
    """The entries from just above an ancestor up to the tip, lowest first."""
    entries = []
    for entry in tip.lineage():
        if entry is above:
            break
        entries.append(entry)
    return entries[::-1]


def expected_target(genesis: Genesis, parent: Entry) -> int:
    """The compact target that a child of `parent` must carry."""
    if parent.parent is None:
        return genesis.target_start
    return compress(
        next_target(
            expand(parent.header.target),
            genesis.limit,
            parent.header.time - parent.parent.header.time,
            genesis.spacing,
            genesis.half_life,
        )
    )


class HeaderTree:
    """Every header whose branch was checked back to genesis."""

    def __init__(self, genesis: Genesis) -> None:
        self._genesis = genesis
        header = genesis.block.header
        self.root = Entry(header, 0, work(expand(header.target)), None)
        self._entries = {header.id: self.root}

    def get(self, block_id: bytes) -> Entry | None:
        """The entry with this id, if known."""
        return self._entries.get(block_id)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def forget(self, entry: Entry) -> None:
        """Drop an entry that nothing builds on."""
        del self._entries[entry.id]

    def add(self, header: Header) -> Entry:
        """Check a header against its ancestors and take it up; a known one is returned.

        Raises:
            UnknownParentError: its parent is not in the tree.
            Rejected: it violates a rule.
        """
        known = self._entries.get(header.id)
        if known is not None:
            return known
        self.check(header)
        return self.restore(header)

    def restore(self, header: Header) -> Entry:
        """Take up a header that was checked before it was stored.

        Raises:
            UnknownParentError: its parent is not in the tree.
        """
        parent = self._entries.get(header.previous)
        if parent is None:
            raise UnknownParentError(header)
        entry = Entry(header, parent.height + 1, parent.work + work(expand(header.target)), parent)
        self._entries[header.id] = entry
        return entry

    def check(self, header: Header) -> None:
        """Check a header against its ancestors; raises as `add`."""
        parent = self._entries.get(header.previous)
        if parent is None:
            raise UnknownParentError(header)
        if header.version != HEADER_VERSION:
            raise Rejected(Rule.HEADER_VERSION, f"version {header.version}, not {HEADER_VERSION}")
        try:
            target = expand(header.target)
        except TargetError as error:
            raise Rejected(Rule.TARGET_FORM, str(error)) from None
        if target > self._genesis.limit:
            raise Rejected(Rule.TARGET_FORM, f"target 0x{header.target:08x} is above the limit")
        expected = expected_target(self._genesis, parent)
        if header.target != expected:
            raise Rejected(Rule.TARGET_VALUE, f"target 0x{header.target:08x}, not 0x{expected:08x}")
        if not meets(header.id, target):
            raise Rejected(Rule.PROOF_OF_WORK, f"block id {display(header.id)} is above the target")
        median = parent.median_time_past()
        if header.time <= median:
            raise Rejected(Rule.TIME_TOO_OLD, f"time {header.time} is not above {median}")


def check_clock(genesis: Genesis, header: Header, now: int) -> None:
    """Hold back a block from the future. `now` is this node's clock in Unix seconds.

    Raises:
        Rejected: `time_too_new`; the same block may pass later.
    """
    if header.time > now + genesis.future_bound:
        raise Rejected(
            Rule.TIME_TOO_NEW,
            f"time {header.time} is more than {genesis.future_bound} s ahead of {now}",
        )
