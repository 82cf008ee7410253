"""What went through a node's sockets, by socket and by kind of message."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class SocketTraffic:
    """Datagrams and bytes of one socket since the start; what came in was `dropped`, by reason."""

    datagrams_sent: int = 0
    datagrams_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class MessageCounts:
    """Messages since the start by kind: sent, taken in, and of those sent how many once more."""

    sent: Counter[str] = field(default_factory=Counter)
    received: Counter[str] = field(default_factory=Counter)
    resent: Counter[str] = field(default_factory=Counter)
