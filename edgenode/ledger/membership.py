"""Who belongs to the ward: members of genesis, and those whom its authorities enrol and revoke.

A member that was revoked keeps its record until the revocation is final: a quorum of finality is
one of the members at the last final block (`voters`), whatever has changed since.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from edgenode.ledger.encoding import MalformedError, Reader, u8, u32, u64
from edgenode.ledger.enrolment import Enrolment, Revocation
from edgenode.ledger.genesis import Genesis, is_name, members_limit
from edgenode.ledger.keys import is_public_key
from edgenode.ledger.records import Overlay, RecordKind, Records
from edgenode.ledger.rules import Rejected, Rule
from edgenode.ledger.transaction import decode_transaction

PENDING_SHARE = 8
"""Of so many voters one may be changed before the change is final, and one in any ward: with more,
two forks could count quorums that share too few members (docs/finality.md)."""

_CHANGES = u8(RecordKind.CHANGES)


def pending_limit(voters: int) -> int:
    """Enrolments and revocations that may wait to become final in a ward of so many voters."""
    return max(1, voters // PENDING_SHARE)


@dataclass(frozen=True, slots=True)
class Standing:
    """A member's place: `since` and `until` are heights; `until` is 0 while it is a member."""

    name: str
    since: int
    until: int


def _key(member: bytes) -> bytes:
    return u8(RecordKind.MEMBER) + member


def _change_key(sequence: int) -> bytes:
    return u8(RecordKind.CHANGE) + sequence.to_bytes(8)


def _encode(standing: Standing) -> bytes:
    return u32(standing.since) + u32(standing.until) + standing.name.encode("ascii")


def _decode(value: bytes) -> Standing:
    reader = Reader(value)
    since, until = reader.u32("since"), reader.u32("until")
    return Standing(reader.take(reader.remaining, "name").decode("ascii"), since, until)


def found(genesis: Genesis) -> dict[bytes, bytes]:
    """The records of the members of genesis."""
    return {_key(bytes.fromhex(m.key)): _encode(Standing(m.name, 0, 0)) for m in genesis.members}


def has_record(records: Records, key: bytes) -> bool:
    """Whether this public key is a member's, or of one whose revocation is not final."""
    return records.get(_key(key)) is not None


def is_member(records: Records, key: bytes) -> bool:
    """Whether this public key belongs to a member."""
    value = records.get(_key(key))
    return value is not None and _decode(value).until == 0


def all_standings(records: Records) -> Iterator[tuple[bytes, Standing]]:
    """Members, and those whose revocation is not final, by public key."""
    for key, value in records.under(u8(RecordKind.MEMBER)):
        yield key[1:], _decode(value)


def members(records: Records) -> dict[bytes, str]:
    """The members' names by public key."""
    return {key: s.name for key, s in all_standings(records) if s.until == 0}


def is_voter(records: Records, key: bytes, height: int) -> bool:
    """Whether this public key was a member's after the block at this height; see `voters`."""
    value = records.get(_key(key))
    return value is not None and _was_member(_decode(value), height)


def _was_member(standing: Standing, height: int) -> bool:
    return standing.since <= height and not 0 < standing.until <= height


def voters(records: Records, height: int) -> frozenset[bytes]:
    """The members as they were after the block at this height, not below the last final one."""
    return frozenset(key for key, s in all_standings(records) if _was_member(s, height))


def changes_made(records: Records) -> int:
    """Enrolments and revocations so far: the sequence of the next one."""
    value = records.get(_CHANGES)
    return 0 if value is None else Reader(value).u64("changes")


def check_change(genesis: Genesis, change: Enrolment | Revocation) -> None:
    """Check what an enrolment or revocation says of itself.

    Raises:
        Rejected: it violates a rule.
    """
    signers = [index for index, _ in change.signatures]
    if signers != sorted(set(signers)) or any(i >= len(genesis.authorities) for i in signers):
        raise Rejected(Rule.AUTHORITY_UNKNOWN, f"signed by authorities {signers}")
    if len(signers) < genesis.authority_quorum or not genesis.authorities:
        raise Rejected(
            Rule.AUTHORITY_QUORUM, f"{len(signers)} of {genesis.authority_quorum} authorities"
        )
    if isinstance(change, Enrolment):
        if not is_public_key(change.member):
            raise Rejected(Rule.ENROLMENT_KEY, "the member's key is no public key")
        if not is_name(change.name):
            raise Rejected(Rule.ENROLMENT_NAME, "the name is not printable ASCII")
    for index, signature in change.signatures:
        key = bytes.fromhex(genesis.authorities[index].key)
        if not change.is_signed(key, signature, genesis.id):
            raise Rejected(
                Rule.AUTHORITY_SIGNATURE,
                f"the signature of authority {genesis.authorities[index].name} is not its own",
            )


def carry_out(
    genesis: Genesis,
    records: Overlay,
    change: Enrolment | Revocation,
    height: int,
    final: int,
) -> None:
    """Enrol or revoke a member in the block at this height; `final` is the last final height.

    Raises:
        Rejected: it violates a rule; nothing was changed.
    """
    check_change(genesis, change)
    made = changes_made(records)
    if change.sequence != made:
        raise Rejected(Rule.AUTHORITY_SEQUENCE, f"sequence {change.sequence}, not {made}")
    pending = sum(1 for _, s in all_standings(records) if max(s.since, s.until) > final)
    if pending >= pending_limit(len(voters(records, final))):
        raise Rejected(Rule.AUTHORITY_PACE, f"{pending} changes wait to become final")
    value = records.get(_key(change.member))
    if isinstance(change, Enrolment):
        # One whose revocation is not final waits: its record still says who may vote.
        if value is not None:
            raise Rejected(Rule.ENROLMENT_KEY, f"{change.member.hex()} is a member already")
        names = {s.name for _, s in all_standings(records)}
        if change.name in names:
            raise Rejected(Rule.ENROLMENT_NAME, f"a member is called {change.name} already")
        if len(names) >= (limit := members_limit(genesis)):
            raise Rejected(Rule.ENROLMENT_COUNT, f"this ward has at most {limit} members")
        after = Standing(change.name, height, 0)
    else:
        if value is None or _decode(value).until:
            raise Rejected(Rule.REVOCATION_MEMBER, f"{change.member.hex()} is no member")
        if len(members(records)) == 1:
            raise Rejected(Rule.REVOCATION_MEMBER, "the last member stays")
        before = _decode(value)
        after = Standing(before.name, before.since, height)
    records.set(_key(change.member), _encode(after))
    records.set(_CHANGES, u64(made + 1))
    records.set(_change_key(made), change.encode())


def check_due(
    genesis: Genesis, records: Records, change: Enrolment | Revocation, height: int
) -> None:
    """Check a change whose turn it is, leaving aside what it may have to wait for.

    That is: as if all changes before it were final.

    Raises:
        Rejected: it can never be carried out here.
    """
    settled = Overlay(records)
    forget_revoked(settled, height)
    carry_out(genesis, settled, change, height, height)


def changes(records: Records) -> Iterator[Enrolment | Revocation]:
    """All enrolments and revocations so far, as authorities signed them, first one first.

    Raises:
        MalformedError: one is missing, or is something else.
    """
    for sequence in range(changes_made(records)):
        raw = records.get(_change_key(sequence))
        change = decode_transaction(b"" if raw is None else raw)
        if not isinstance(change, Enrolment | Revocation) or change.sequence != sequence:
            raise MalformedError(f"in the place of change {sequence} is something else")
        yield change


def revoked(records: Records) -> frozenset[bytes]:
    """Public keys of those whom the authorities have revoked, and not enrolled again since.

    Raises:
        MalformedError: as `changes`.
    """
    keys: set[bytes] = set()
    for change in changes(records):
        if isinstance(change, Revocation):
            keys.add(change.member)
        else:
            keys.discard(change.member)
    return frozenset(keys)


def forget_revoked(records: Overlay, final: int) -> None:
    """Drop the records of those who were revoked at or below the final height."""
    for key, standing in list(all_standings(records)):
        if 0 < standing.until <= final:
            records.set(_key(key), None)
