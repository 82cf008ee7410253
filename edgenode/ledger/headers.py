"""The tree of known headers and the rules that a header obeys among its ancestors."""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from edgenode.ledger.difficulty import next_target
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.hashes import display, sha256d
from edgenode.ledger.header import HEADER_BYTES, HEADER_VERSION, ID_BYTES, Header, header_times
from edgenode.ledger.header_index import HeaderIndex, Placed
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.store import MissingDataError
from edgenode.ledger.target import TargetError, compress, expand, meets, work

MEDIAN_TIME_BLOCKS = 11
"""Bitcoin's window: a minority of forged clocks among eleven cannot move the median far."""

ENTRIES_REMEMBERED = 1024
"""Entries held in memory, about a megabyte: those of the last blocks are asked for again and
again; others are read from the store."""

DESCENTS_REMEMBERED = 8192
"""Of so many entries beside the trunk it is remembered where their branch leaves it, a megabyte."""


class UnknownParentError(LookupError):
    """The parent of a header is not known here; ask for it."""

    def __init__(self, header: Header) -> None:
        super().__init__(f"parent {display(header.previous)} is unknown")
        self.header = header


@dataclass(frozen=True, eq=False, slots=True)
class Entry:
    """A header in its place: height above genesis and total work of its branch (hashes).

    Entries of one block are equal, whenever they were read.
    """

    header: Header
    height: int
    work: int

    @property
    def id(self) -> bytes:
        """The block's id."""
        return self.header.id

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Entry) and self.id == other.id)

    def __hash__(self) -> int:
        return hash(self.id)


Key = TypeVar("Key")

Lookup = Callable[[bytes], Entry | None]
"""Finds the entry of a known header by block id."""


def lineage(entry: Entry, lookup: Lookup) -> Iterator[Entry]:
    """An entry and its ancestors, down to genesis.

    Raises:
        MissingDataError: an ancestor is not known, which in one tree cannot be.
    """
    yield entry
    while entry.height > 0:
        parent = lookup(entry.header.previous)
        if parent is None:
            raise MissingDataError(f"the header before block {display(entry.id)} is not known")
        entry = parent
        yield entry


def median_time_past(entry: Entry, lookup: Lookup) -> int:
    """The median time of a block and the ten before it (BIP 113)."""
    times = sorted(
        ancestor.header.time for ancestor in islice(lineage(entry, lookup), MEDIAN_TIME_BLOCKS)
    )
    return times[len(times) // 2]


def earliest_time(genesis: Genesis, parent: Entry, lookup: Lookup) -> int:
    """The lowest time (Unix seconds) that a child of `parent` may carry.

    Above the median alone, one stamp as old as that lets it can turn a long pause into a step of
    the difficulty that no box climbs (docs/difficulty.md). Nobody honest is held up: who builds on
    a block has a clock of at most `future_bound` behind its time.
    """
    return max(median_time_past(parent, lookup) + 1, parent.header.time - genesis.future_bound)


def expected_target(genesis: Genesis, parent: Entry, lookup: Lookup) -> int:
    """The compact target that a child of `parent` must carry."""
    if parent.height == 0:
        return genesis.target_start
    before = list(islice(lineage(parent, lookup), 2))[1]
    return compress(
        next_target(
            expand(parent.header.target),
            genesis.limit,
            min(parent.header.time - before.header.time, genesis.longest_step),
            genesis.spacing,
            genesis.half_life,
        )
    )


class HeaderTree:
    """Every header whose branch was checked back to genesis; the trunk is its heaviest branch.

    Of two branches with equal work the one that was there first is the trunk.
    """

    def __init__(self, genesis: Genesis, index: HeaderIndex) -> None:
        """Open the tree that the index holds, or begin it with genesis.

        Raises:
            AlteredError: the index does not begin with this genesis.
        """
        self._genesis = genesis
        self.index = index
        header = genesis.block.header
        self.root = Entry(header, 0, work(expand(header.target)))
        self._remembered: dict[bytes, Entry] = {}
        self._trunk: dict[int, Entry] = {}
        self._joints: dict[bytes, Entry] = {}
        index.begin(header.encode())
        self.tip = self._on_trunk_at(index.height)
        self._newest: array[int] | None = None
        """Times of the trunk's last eleven headers, if asked for since it was last cut."""
        self.taken = 0
        """Headers that were taken up since the start."""
        self.added_beside = 0
        """Headers that came to stand beside the trunk since the start."""
        self.shifts = 0
        """Changes since the start other than growth: another trunk, or headers forgotten."""

    # What is known

    def get(self, block_id: bytes) -> Entry | None:
        """The entry with this id, if known."""
        known = self._remembered.get(block_id)
        if known is not None:
            return known
        if block_id == self.root.id:
            return self.root
        placed = self.index.find(block_id)
        return None if placed is None else self._entry(placed, block_id)

    def at(self, height: int) -> Entry | None:
        """The trunk's entry at a height."""
        if height == self.tip.height:
            return self.tip
        return self._on_trunk_at(height) if 0 <= height <= self.tip.height else None

    def is_trunk(self, entry: Entry) -> bool:
        """Whether an entry of this tree belongs to the trunk."""
        return self.at(entry.height) == entry

    def parent(self, entry: Entry) -> Entry | None:
        """The entry below; None for genesis.

        Raises:
            MissingDataError: it is not known, which cannot be.
        """
        if entry.height == 0:
            return None
        previous = entry.header.previous
        known = self._remembered.get(previous)
        if known is not None:
            return known
        below = self.at(entry.height - 1)
        if below is not None and below.id == previous:
            return below
        found = self.get(previous)
        if found is None:
            raise MissingDataError(f"the header before block {display(entry.id)} is not known")
        return found

    def lineage(self, entry: Entry) -> Iterator[Entry]:
        """The entry and its ancestors, down to genesis; raises as `parent`."""
        current: Entry | None = entry
        while current is not None:
            yield current
            current = self.parent(current)

    def ancestor(self, entry: Entry, height: int) -> Entry:
        """The entry's ancestor at a height, not above its own; at once where it is on the trunk."""
        while entry.height > height:
            if self.is_trunk(entry):
                return self._on_trunk_at(height)
            below = self.parent(entry)
            assert below is not None, "above genesis there is a parent"
            entry = below
        return entry

    def joint(self, entry: Entry) -> Entry:
        """The entry's highest ancestor on the trunk, or itself."""
        return self.descent(entry, self.is_trunk, self._joints)

    def descent(
        self, entry: Entry, ends: Callable[[Entry], bool], known: dict[bytes, Entry]
    ) -> Entry:
        """The highest ancestor for which `ends` holds, or the entry itself.

        `known` has, by id, what was found from others, as long as the caller keeps it: hundreds of
        branches may share a long way.
        """
        walked = []
        while not ends(entry):
            found = known.get(entry.id)
            if found is not None:
                entry = found
                break
            walked.append(entry.id)
            below = self.parent(entry)
            assert below is not None, "genesis is on every branch"
            entry = below
        if walked:
            # The nearest to the tip are forgotten last: what comes next builds on it.
            nearest = walked[: DESCENTS_REMEMBERED // 2]
            known.update(dict.fromkeys(reversed(nearest), entry))
            _trim(known, DESCENTS_REMEMBERED)
        return entry

    def ascent(self, above: Entry, tip: Entry) -> Iterator[Entry]:
        """The entries from just above an ancestor up to the tip, lowest first."""
        beside = []
        entry = tip
        while entry.height > above.height and not self.is_trunk(entry):
            beside.append(entry)
            below = self.parent(entry)
            assert below is not None, "above genesis there is a parent"
            entry = below
        for height in range(above.height + 1, entry.height + 1):
            yield self._on_trunk_at(height)
        yield from reversed(beside)

    def times(self, entry: Entry) -> "array[int]":
        """Times of up to ten blocks before this one and its own, oldest first."""
        if entry == self.tip:
            if self._newest is None:
                first = max(0, entry.height - MEDIAN_TIME_BLOCKS + 1)
                self._newest = header_times(self.index.raw(first, MEDIAN_TIME_BLOCKS))
            return self._newest
        last = islice(self.lineage(entry), MEDIAN_TIME_BLOCKS)
        return array("I", [ancestor.header.time for ancestor in last][::-1])

    # What comes and goes

    def add(self, header: Header) -> Entry:
        """Check a header against its ancestors and take it up; a known one is returned.

        Raises:
            UnknownParentError: its parent is not in the tree.
            Rejected: it violates a rule.
        """
        known = self.get(header.id)
        if known is not None:
            return known
        self.check(header)
        parent = self.get(header.previous)
        assert parent is not None, "checked"
        return self.take(parent, header.encode(), header.id)

    def take(self, parent: Entry, headers: bytes, ids: bytes) -> Entry:
        """Take up unknown headers that were checked; each builds on the one before.

        Args:
            parent: What the first one builds on.
            headers: At least one, 80 bytes each.
            ids: Their ids, 32 bytes each.

        Returns:
            The entry of the last one.
        """
        count = len(headers) // HEADER_BYTES
        self.taken += count
        if parent == self.tip:
            total = self.index.extend(headers, ids)
            header = Header.hashed(headers[-HEADER_BYTES:], ids[-ID_BYTES:])
            last = self._remember(Entry(header, parent.height + count, total))
            self.tip = last
            if self._newest is not None:
                times = header_times(headers[-MEDIAN_TIME_BLOCKS * HEADER_BYTES :])
                self._newest = (self._newest + times)[-MEDIAN_TIME_BLOCKS:]
            return last
        last = parent
        for number in range(count):
            raw = headers[number * HEADER_BYTES : (number + 1) * HEADER_BYTES]
            header = Header.hashed(raw, ids[number * ID_BYTES : (number + 1) * ID_BYTES])
            last = Entry(header, last.height + 1, last.work + work(expand(header.target)))
            self._put_beside(self._remember(last))
        if last.work > self.tip.work:
            self._graft(last)
        return last

    def check(self, header: Header) -> None:
        """Check a header against its ancestors; raises as `add`."""
        parent = self.get(header.previous)
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
        expected = expected_target(self._genesis, parent, self.get)
        if header.target != expected:
            raise Rejected(Rule.TARGET_VALUE, f"target 0x{header.target:08x}, not 0x{expected:08x}")
        if not meets(header.id, target):
            raise Rejected(Rule.PROOF_OF_WORK, f"block id {display(header.id)} is above the target")
        earliest = earliest_time(self._genesis, parent, self.get)
        if header.time < earliest:
            raise Rejected(Rule.TIME_TOO_OLD, f"time {header.time} is below {earliest}")

    def forget(self, block_ids: set[bytes]) -> None:
        """Drop headers beside the trunk that no other builds on."""
        self.index.drop_beside(block_ids)
        self._disremember(block_ids)

    def cut(self, stem: Entry) -> set[bytes]:
        """Drop an entry above genesis and all that build on it; returns their ids."""
        gone = {stem.id}
        if self.is_trunk(stem):
            gone |= {self._on_trunk_at(h).id for h in range(stem.height, self.tip.height + 1)}
            self._shorten(stem.height - 1)
            self.tip = self._on_trunk_at(stem.height - 1)
        beside = sorted(self.index.beside(), key=lambda item: item[1].height)
        left: list[tuple[bytes, Placed]] = []
        for block_id, placed in beside:
            if block_id in gone or Header.decode(placed.raw).previous in gone:
                gone.add(block_id)
            else:
                left.append((block_id, placed))
        self.index.drop_beside(gone)
        self._disremember(gone)
        if left:
            block_id, heaviest = max(left, key=lambda item: item[1].work)
            if heaviest.work > self.tip.work:
                self._graft(self._entry(heaviest, block_id))
        return gone

    def beside(self, above: int = -1) -> Iterator[Entry]:
        """The entries beside the trunk with more work than `above`, as they came."""
        for block_id, placed in self.index.beside(above):
            yield self._entry(placed, block_id)

    # How it is done

    def _graft(self, tip: Entry) -> None:
        """Make the branch that ends in `tip` the trunk."""
        joining = []
        fork = tip
        while not self.is_trunk(fork):
            joining.append(fork)
            below = self.parent(fork)
            assert below is not None, "genesis is on the trunk"
            fork = below
        for height in range(fork.height + 1, self.tip.height + 1):
            self._put_beside(self._on_trunk_at(height))
        self._shorten(fork.height)
        self.index.drop_beside({entry.id for entry in joining})
        joining.reverse()
        self.index.extend(
            b"".join(entry.header.encode() for entry in joining),
            b"".join(entry.id for entry in joining),
        )
        self.tip = tip
        self._joints.clear()
        self.shifts += 1

    def _put_beside(self, entry: Entry) -> None:
        placed = Placed(entry.height, entry.work, entry.header.encode())
        self.index.add_beside(entry.id, placed)
        self.added_beside += 1

    def _shorten(self, height: int) -> None:
        """Forget the trunk above a height."""
        self.index.cut(height)
        self._newest = None
        self._trunk = {at: entry for at, entry in self._trunk.items() if at <= height}

    def _on_trunk_at(self, height: int) -> Entry:
        known = self._trunk.get(height)
        if known is not None:
            return known  # what is asked for most: nothing is read and nothing hashed
        placed = self.index.at(height)
        if placed is None:
            raise MissingDataError(f"the header at height {height} is not in the store")
        entry = self._entry(placed, sha256d(placed.raw))
        self._trunk[height] = entry
        _trim(self._trunk)
        return entry

    def _entry(self, placed: Placed, block_id: bytes) -> Entry:
        known = self._remembered.get(block_id)
        if known is not None:
            return known
        header = Header.hashed(placed.raw, block_id)
        return self._remember(Entry(header, placed.height, placed.work))

    def _remember(self, entry: Entry) -> Entry:
        known = self._remembered.setdefault(entry.id, entry)
        _trim(self._remembered)
        return known

    def _disremember(self, block_ids: set[bytes]) -> None:
        for block_id in block_ids:
            self._remembered.pop(block_id, None)
        self._joints.clear()
        self.shifts += 1


def _trim(remembered: dict[Key, Entry], limit: int = ENTRIES_REMEMBERED) -> None:
    """Forget the half that was there first, once there are too many."""
    if len(remembered) > limit:
        for key in list(remembered)[: limit // 2]:
            del remembered[key]


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
