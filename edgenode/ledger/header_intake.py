"""How headers come into the tree: known ones are passed over, refused ones refused once more."""

from collections.abc import Callable
from dataclasses import dataclass

from edgenode.ledger.branches import Branches
from edgenode.ledger.genesis import Genesis
from edgenode.ledger.hashes import display
from edgenode.ledger.header import HEADER_BYTES, ID_BYTES, Header
from edgenode.ledger.header_run import check_run
from edgenode.ledger.headers import Entry, HeaderTree, UnknownParentError, check_clock
from edgenode.ledger.rules import Rejected, Rule

UNWRITTEN_LIMIT = 16000
"""Headers that wait in memory to be written, at 88 bytes: what a crash takes of them the peers
still have, and a transaction for each would be most of the work."""


@dataclass(frozen=True, slots=True)
class TakenHeaders:
    """How far consecutive headers were taken up.

    `last` is the entry of the last one that is known now, `fault` what the next one was left out
    for: a rule, or a parent that is not known. `new` says whether one was not known before.
    """

    last: Entry | None
    fault: Rejected | UnknownParentError | None
    new: bool


class HeaderIntake:
    """Takes headers into a tree."""

    def __init__(
        self,
        genesis: Genesis,
        tree: HeaderTree,
        branches: Branches,
        invalid: dict[bytes, Rejected],
        allow: Callable[[Entry], None],
    ) -> None:
        """Serve a tree.

        `invalid` says why blocks were refused, by id; `allow` raises Rejected where nothing may
        build on an entry.
        """
        self._genesis = genesis
        self._tree = tree
        self._branches = branches
        self._invalid = invalid
        self._allow = allow

    def check(self, header: Header, now: int) -> None:
        """Check a header without taking it up; `now` in Unix seconds.

        Raises:
            UnknownParentError: its parent is not known.
            Rejected: it or an ancestor violates a rule.
        """
        if (why := self._invalid.get(header.id)) is not None:
            raise Rejected(why.rule, why.detail)
        if self._tree.get(header.id) is not None:
            return
        if header.previous in self._invalid:
            raise Rejected(
                Rule.PARENT_INVALID, f"builds on the refused block {display(header.previous)}"
            )
        check_clock(self._genesis, header, now)
        self._tree.check(header)
        parent = self._tree.get(header.previous)
        assert parent is not None, "checked"
        self._allow(parent)

    def take(self, header: Header, now: int) -> Entry:
        """Take up a header; raises as `check`."""
        self.check(header, now)
        known = self._tree.get(header.id)
        if known is not None:
            return known
        parent = self._tree.get(header.previous)
        assert parent is not None, "checked"
        return self._grow(parent, header.encode(), header.id)

    def take_run(self, headers: bytes, now: int) -> TakenHeaders:
        """Take up headers of 80 bytes, of which each should build on the one before."""
        last: Entry | None = None
        fault: Rejected | UnknownParentError | None = None
        offset, before = 0, self._tree.taken
        try:
            while offset < len(headers):
                last, taken = self._take_some(headers, offset, now)
                offset += taken
        except (Rejected, UnknownParentError) as why:
            fault = why
        return TakenHeaders(last, fault, self._tree.taken > before)

    def _take_some(self, headers: bytes, offset: int, now: int) -> tuple[Entry, int]:
        """Take up at least the header at this offset; the last entry, and the bytes taken."""
        first = headers[offset : offset + HEADER_BYTES]
        parent: Entry | None = self._tree.tip
        # A child of the tip would be the tip, were it known: the shortest way is the usual one.
        if first[4:36] != self._tree.tip.id:
            header = Header.decode(first)
            known = self._tree.get(header.id)
            if known is not None:
                return known, HEADER_BYTES
            parent = self._tree.get(header.previous)
        if parent is not None:
            run = headers[offset:] if offset else headers
            ids = check_run(self._genesis, parent, self._tree.times(parent), run, now).ids
            ids = self._up_to_invalid(ids)
            if ids:
                self._allow(parent)
                taken = len(ids) // ID_BYTES * HEADER_BYTES
                return self._grow(parent, run[:taken], ids), taken
        # The rules in Python say what is wrong with it.
        return self.take(Header.decode(first), now), HEADER_BYTES

    def _up_to_invalid(self, ids: bytes) -> bytes:
        """The ids before the first that was refused."""
        if self._invalid:
            for start in range(0, len(ids), ID_BYTES):
                if ids[start : start + ID_BYTES] in self._invalid:
                    return ids[:start]
        return ids

    def _grow(self, parent: Entry, headers: bytes, ids: bytes) -> Entry:
        entry = self._tree.take(parent, headers, ids)
        self._branches.grown(parent, entry)
        if self._tree.index.unwritten >= UNWRITTEN_LIMIT:
            self._tree.index.keep()
        return entry
