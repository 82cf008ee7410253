"""Why a datagram that came in leads to nothing."""

from enum import StrEnum


class Drop(StrEnum):
    """The reasons, as metrics and docs/gossip.md name them."""

    UNSEALED = "unsealed"
    MALFORMED = "malformed"
    WRONG_SOCKET = "wrong_socket"
    SHUNNED = "shunned"
    OTHER_VERSION = "other_version"
    NO_COOKIE = "no_cookie"
    UNASKED = "unasked"
    ITSELF = "itself"
    FORGED = "forged"
    REVOKED = "revoked"
    REFUSED_BEFORE = "refused_before"
    TOO_MANY_OFFERS = "too_many_offers"
    TOO_MANY_BEACONS = "too_many_beacons"
    TOO_MANY_PEERS = "too_many_peers"
    NOT_SERVED = "not_served"
    NO_SEED = "no_seed"
    NO_SESSION = "no_session"
    MOVED = "moved"
    REPLAYED = "replayed"


class Dropped(Exception):  # noqa: N818  (an outcome, not an error)
    """A datagram that leads to nothing."""

    def __init__(self, reason: Drop) -> None:
        super().__init__(reason.value)
        self.reason = reason
