"""An endorsement: a member's vote that a checkpoint stays."""

from dataclasses import dataclass, replace

from edgenode.ledger.encoding import Reader, u8, u32
from edgenode.ledger.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, MemberKey, verify
from edgenode.ledger.transaction_kind import Identified, Kind


@dataclass(frozen=True)
class Endorsement(Identified):
    """Says: `source` is justified, and I hold to `target`, a checkpoint above it.

    Ids are block ids in internal order. Who keeps the vows of docs/finality.md never signs two
    for one target height, nor one whose source and target lie around those of another.
    """

    member: bytes
    source_height: int
    source: bytes
    target_height: int
    target: bytes
    signature: bytes

    def encode(self) -> bytes:
        """The raw bytes."""
        return self._unsigned() + self.signature

    def _unsigned(self) -> bytes:
        return b"".join(
            (
                u8(Kind.ENDORSEMENT),
                self.member,
                u32(self.source_height),
                self.source,
                u32(self.target_height),
                self.target,
            )
        )

    @classmethod
    def read(cls, reader: Reader) -> "Endorsement":
        """Parse what follows the kind byte; raises MalformedError."""
        return cls(
            member=reader.take(PUBLIC_KEY_BYTES, "member's key"),
            source_height=reader.u32("height of the source"),
            source=reader.take(32, "source block"),
            target_height=reader.u32("height of the target"),
            target=reader.take(32, "target block"),
            signature=reader.take(SIGNATURE_BYTES, "signature"),
        )

    def signed(self, key: MemberKey, ward: bytes) -> "Endorsement":
        """This endorsement under the member's signature, which holds in one ward only."""
        return replace(self, signature=key.sign(b"edgenode endorsement" + ward + self._unsigned()))

    def is_signed(self, ward: bytes) -> bool:
        """Whether the signature is the member's, for this ward."""
        return verify(
            self.member, b"edgenode endorsement" + ward + self._unsigned(), self.signature
        )
