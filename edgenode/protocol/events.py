"""What a node says has happened."""

from dataclasses import dataclass

from edgenode.ledger.head_change import HeadChange
from edgenode.ledger.rules import Rejected
from edgenode.protocol.peer import Peer


@dataclass(frozen=True, slots=True)
class HeadMoved:
    """The head is another block."""

    change: HeadChange


@dataclass(frozen=True, slots=True)
class PoolChanged:
    """Something joined or left the mempool while the head stayed."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Something violated a rule. `peer` sent it; None if this box did, or nobody is known."""

    what: str
    rejected: Rejected
    peer: Peer | None


@dataclass(frozen=True, slots=True)
class PeerBlamed:
    """A session was ended because its peer did what no honest node does."""

    peer: Peer
    reason: str


@dataclass(frozen=True, slots=True)
class PeerRevoked:
    """A session was ended because the peer's member was revoked."""

    peer: Peer


Event = HeadMoved | PoolChanged | Refused | PeerBlamed | PeerRevoked
