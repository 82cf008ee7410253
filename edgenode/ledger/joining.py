"""What a node believes that joins in the middle of the chain, and why.

It takes the state after some block from peers instead of working it out from genesis. That this is
the chain's state it believes for two reasons alone: the next block commits to it, and more than two
thirds of the members have endorsed one and the same block above that. Who is a member it does not
take from the state: it follows from genesis and from what the authorities of genesis have signed.
docs/finality.md says what this is worth.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from edgenode.learning.fixed_point import Fixed
from edgenode.ledger import finality, membership
from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.endorsement import Endorsement
from edgenode.ledger.enrolment import Enrolment
from edgenode.ledger.genesis import Genesis, is_name
from edgenode.ledger.hashes import content_id
from edgenode.ledger.headers import Entry
from edgenode.ledger.records import PlainRecords, RecordKind, decode_records
from edgenode.ledger.rules import Rejected
from edgenode.ledger.transaction import TRANSACTION_BYTES_LIMIT, ModelState

STATE_BYTES_LIMIT = 32 << 20
"""Longest state that is taken from peers: half a million accounts, and what a box with 512 MB of
memory can hold beside everything else."""

_LAYOUTS: dict[RecordKind, tuple[int, range]] = {
    RecordKind.ACCOUNT: (33, range(16, 17)),
    RecordKind.MEMBER: (33, range(8 + 1, 8 + 64 + 1)),
    RecordKind.CHANGES: (1, range(8, 9)),
    RecordKind.COUNTED: (38, range(1)),
    RecordKind.MINED: (5, range(32, 33)),
    RecordKind.JUSTIFIED: (5, range(32, 33)),
    RecordKind.FINAL: (1, range(36, 37)),
    RecordKind.ENDORSED: (37, range(4, 5)),
    RecordKind.CHANGE: (9, range(1, TRANSACTION_BYTES_LIMIT + 1)),
}
"""Bytes of the keys and of the values of each kind of record."""


class UnprovenError(Exception):
    """A state is not shown to be that of the ward's chain; nothing of it may be used."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state after the block `entry`, to go on from; as `State`, but for its records."""

    entry: Entry
    root: bytes
    records: dict[bytes, bytes]
    models: tuple[ModelState, ...]
    parameters: tuple[Fixed, ...]


def read_state(raw: bytes, root: bytes) -> dict[bytes, bytes]:
    """The records of a state that came from a peer or from a damaged file.

    Raises:
        UnprovenError: it is not what `root` names, or no state that a chain can lead to.
    """
    if len(raw) > STATE_BYTES_LIMIT or content_id(raw) != root:
        raise UnprovenError(f"it is not the state {root.hex()}")
    try:
        records = decode_records(raw)
        _check_layouts(records)
    except MalformedError as error:
        raise UnprovenError(f"state {root.hex()}: {error}") from None
    return records


def _check_layouts(records: dict[bytes, bytes]) -> None:
    for key, value in records.items():
        try:
            kind = RecordKind(key[0])
        except ValueError:
            raise MalformedError(f"a record of kind {key[0]}") from None
        key_bytes, value_bytes = _LAYOUTS[kind]
        if len(key) != key_bytes or len(value) not in value_bytes:
            raise MalformedError(f"{kind.name.lower()}: {len(key)} and {len(value)} bytes")
        if kind is RecordKind.MEMBER and not is_name(value[8:].decode("latin-1")):
            raise MalformedError("a member's name is not printable ASCII")
    kinds = {key[0] for key in records}
    if not {RecordKind.FINAL, RecordKind.JUSTIFIED} <= kinds:
        raise MalformedError("it says nothing of what is justified and final")


def proven_members(genesis: Genesis, records: dict[bytes, bytes]) -> frozenset[bytes]:
    """Public keys of the members at a state, by what the authorities have signed.

    Who made the state up can leave changes out from the last one down, no more: then these are
    the members of an earlier day.

    Raises:
        UnprovenError: a change was not signed, or the member records say something else.
    """
    state = PlainRecords(records)
    signed = {bytes.fromhex(m.key): m.name for m in genesis.members}
    try:
        for change in membership.changes(state):
            membership.check_change(genesis, change)
            if isinstance(change, Enrolment):
                signed[change.member] = change.name
            else:
                signed.pop(change.member, None)
    except (Rejected, MalformedError) as error:
        raise UnprovenError(f"a change of the members: {error}") from None
    if signed != membership.members(state):
        raise UnprovenError("its members are not those that the authorities have signed")
    return frozenset(signed)


def highest_justified_in(records: dict[bytes, bytes]) -> int:
    """Height of the highest checkpoint that is justified in a state.

    Raises:
        UnprovenError: none is, which cannot be.
    """
    checkpoints = finality.justified(PlainRecords(records))
    if not checkpoints:
        raise UnprovenError("nothing is justified in it")
    return checkpoints[-1].height


class Evidence:
    """Counts the members that have endorsed a block of a branch above a state.

    An honest member endorses a block only after it has checked the whole chain up to it, so more
    than two thirds of them are enough.
    """

    def __init__(
        self, genesis: Genesis, members: frozenset[bytes], branch: dict[int, bytes]
    ) -> None:
        """Start with nothing heard; `branch` has the ids of what is above the state by height."""
        self._ward = genesis.id
        self._members = members
        self._branch = branch
        self._heard: dict[int, set[bytes]] = {}
        self.enough = False
        """Whether more than two thirds of the members have endorsed one of the blocks."""

    def hear(self, endorsements: Iterable[Endorsement]) -> None:
        """Count endorsements, as far as they are for this branch and signed."""
        for endorsement in endorsements:
            height, member = endorsement.target_height, endorsement.member
            if member not in self._members or self._branch.get(height) != endorsement.target:
                continue
            heard = self._heard.setdefault(height, set())
            if member not in heard and endorsement.is_signed(self._ward):
                heard.add(member)
                self.enough = self.enough or 3 * len(heard) > 2 * len(self._members)
