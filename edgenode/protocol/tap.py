"""What a debug capture sees of a node's datagrams: as they were, and opened."""

from collections.abc import Callable
from dataclasses import dataclass

from edgenode.protocol.wire import Address, Socket


@dataclass(frozen=True, slots=True)
class Tapped:
    """One datagram.

    Attributes:
        socket: Of this node's sockets, the one that it went through.
        address: Where it goes to, or came from.
        sent: Whether this node has sent it.
        datagram: Its bytes.
        plaintext: What is in it; None if it does not open.
        dropped: Why it led to nothing; None if it was sent, or taken.
    """

    socket: Socket
    address: Address
    sent: bool
    datagram: bytes
    plaintext: bytes | None
    dropped: str | None = None


Tap = Callable[[Tapped], None]
