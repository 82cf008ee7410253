"""Which of the two sockets a node has, and where: what it says of itself in a handshake."""

from dataclasses import dataclass

from edgenode.ledger.encoding import MalformedError, Reader, u8, u16
from edgenode.protocol.wire import Address, pack_ip, read_ip

SAME_HOST = ""
"""Instead of the broadcast socket's host: that of the address through which the node speaks."""


_NONE, _OPEN, _CLOSED = 0, 1, 2
"""What is said of the sync socket."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A node's sockets.

    Attributes:
        sync: Whether its peers can ask it for copies of the chain, and for addresses.
        broadcast: Where announcements reach it; None for a node that neither makes nor takes any.
        is_open: Whether others may be told of it. A node that has sessions with its seeds alone
            lets nobody in.
    """

    sync: bool = True
    broadcast: Address | None = None
    is_open: bool = True

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            ValueError: the node has no socket, or its broadcast socket no port.
        """
        if not self.sync and self.broadcast is None:
            raise ValueError("a node without a socket")
        if self.broadcast is not None and not self.broadcast.port:
            raise ValueError("a broadcast socket without a port")

    def encode(self) -> bytes:
        """19 bytes."""
        sync = (_OPEN if self.is_open else _CLOSED) if self.sync else _NONE
        where = self.broadcast or Address(SAME_HOST, 0)
        host = bytes(16) if where.host == SAME_HOST else pack_ip(where.host)
        return u8(sync) + host + u16(where.port)

    @classmethod
    def read(cls, reader: Reader) -> "Layout":
        """Inverse of `encode`; raises MalformedError."""
        sync = reader.u8("sync socket")
        packed, port = reader.take(16, "host of the broadcast socket"), reader.u16("its port")
        if sync > _CLOSED or not (sync or port) or (any(packed) and not port):
            raise MalformedError("sockets that no node has")
        host = read_ip(packed) if any(packed) else SAME_HOST
        return cls(sync != _NONE, Address(host, port) if port else None, sync != _CLOSED)
