"""Transactions by which the authorities of genesis change who is a member."""

from abc import abstractmethod
from dataclasses import dataclass

from edgenode.ledger.encoding import MalformedError, Reader, u8, u64
from edgenode.ledger.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, MemberKey, verify
from edgenode.ledger.transaction_kind import Identified, Kind

AUTHORITIES_LIMIT = 12
"""Authorities of a ward, so signatures of a change: with it one stays below one datagram."""

MEMBER_NAME_LIMIT = 64

Signatures = tuple[tuple[int, bytes], ...]
"""Positions of authorities in genesis, ascending, each with its signature."""


@dataclass(frozen=True)
class _Change(Identified):
    """What enrolments and revocations share: the authorities' signatures."""

    @abstractmethod
    def _unsigned(self) -> bytes:
        """All but the signatures."""

    @abstractmethod
    def _text(self) -> bytes:
        """What names the kind of the change to who signs it."""

    def message(self, ward: bytes) -> bytes:
        """What an authority of the ward signs."""
        return self._text() + ward + self._unsigned()

    def signature_by(self, key: MemberKey, ward: bytes) -> bytes:
        """An authority's signature on this change."""
        return key.sign(self.message(ward))

    def is_signed(self, authority: bytes, signature: bytes, ward: bytes) -> bool:
        """Whether the signature is this authority's (public key), for this ward."""
        return verify(authority, self.message(ward), signature)


def _encode(signatures: Signatures) -> bytes:
    return u8(len(signatures)) + b"".join(u8(index) + s for index, s in signatures)


def _read(reader: Reader) -> Signatures:
    count = reader.u8("number of signatures")
    if count > AUTHORITIES_LIMIT:
        raise MalformedError(f"{count} signatures; the limit is {AUTHORITIES_LIMIT}")
    return tuple(
        (reader.u8("authority"), reader.take(SIGNATURE_BYTES, "signature")) for _ in range(count)
    )


@dataclass(frozen=True)
class Enrolment(_Change):
    """Makes a key a member under a name. `sequence` counts the ward's changes from 0."""

    member: bytes
    name: str
    sequence: int
    signatures: Signatures

    def encode(self) -> bytes:
        """The raw bytes."""
        return self._unsigned() + _encode(self.signatures)

    def _text(self) -> bytes:
        return b"edgenode enrolment"

    def _unsigned(self) -> bytes:
        name = self.name.encode("ascii")
        return b"".join((u8(Kind.ENROLMENT), self.member, u8(len(name)), name, u64(self.sequence)))

    @classmethod
    def read(cls, reader: Reader) -> "Enrolment":
        """Parse what follows the kind byte; raises MalformedError."""
        member = reader.take(PUBLIC_KEY_BYTES, "member's key")
        length = reader.u8("length of the name")
        if length > MEMBER_NAME_LIMIT:
            raise MalformedError(f"a name of {length} bytes; the limit is {MEMBER_NAME_LIMIT}")
        try:
            name = reader.take(length, "name").decode("ascii")
        except UnicodeDecodeError:
            raise MalformedError("the name is not ASCII") from None
        return cls(member, name, reader.u64("sequence"), _read(reader))


@dataclass(frozen=True)
class Revocation(_Change):
    """Ends a key's membership. `sequence` counts the ward's changes from 0."""

    member: bytes
    sequence: int
    signatures: Signatures

    def encode(self) -> bytes:
        """The raw bytes."""
        return self._unsigned() + _encode(self.signatures)

    def _text(self) -> bytes:
        return b"edgenode revocation"

    def _unsigned(self) -> bytes:
        return u8(Kind.REVOCATION) + self.member + u64(self.sequence)

    @classmethod
    def read(cls, reader: Reader) -> "Revocation":
        """Parse what follows the kind byte; raises MalformedError."""
        member = reader.take(PUBLIC_KEY_BYTES, "member's key")
        return cls(member, reader.u64("sequence"), _read(reader))
