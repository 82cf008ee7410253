"""What a key is to the ward, by the chain that this node holds."""

from enum import StrEnum

from edgenode.ledger import membership
from edgenode.ledger.chain import Chain


class Role(StrEnum):
    """How a node treats who holds a key."""

    MEMBER = "member"
    GUEST = "guest"
    """No member: a new box, or one that was enrolled above this node's head."""
    REVOKED = "revoked"


class Roles:
    """The roles at the head of a chain."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self.follow()

    def follow(self) -> None:
        """The head has moved."""
        records = self._chain.state.records
        self._revoked = membership.revoked(records)
        voters = membership.voters(records, self._chain.final.height)
        if 3 * len(voters - self._revoked) <= 2 * len(voters):
            # In a ward of two or three a revocation becomes final by the endorsement of the one
            # that is revoked, or never.
            self._revoked -= voters

    def of(self, key: bytes) -> Role:
        """The role of who holds this public key."""
        if key in self._revoked:
            return Role.REVOKED
        member = membership.is_member(self._chain.state.records, key)
        return Role.MEMBER if member else Role.GUEST
