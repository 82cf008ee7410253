"""Frames between a gateway and a box without a network, over any stream of bytes.

A frame is length ‖ kind ‖ body; docs/gateway.md has the layouts. What the datagrams in them carry
is sealed between nodes: a gateway sees addresses and lengths.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from edgenode.ledger.encoding import MalformedError, Reader, u8, u16
from edgenode.ledger.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES
from edgenode.protocol.wire import DATAGRAM_LIMIT, Address, Socket, pack_address, read_address

GATEWAY_VERSION = 1

NONCE_BYTES = 32
PROOF_BYTES = 32

NODES_LIMIT = 8
"""Addresses of its own node that a gateway tells."""

FRAME_LIMIT = 1 + 1 + 16 + 2 + DATAGRAM_LIMIT
"""Bytes of a frame after its length: a datagram with its socket and address (1220)."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The gateway's first frame."""

    version: int
    nonce: bytes

    def encode(self) -> bytes:
        """33 bytes."""
        return u8(self.version) + self.nonce

    @classmethod
    def read(cls, reader: Reader) -> "Hello":
        """Inverse of `encode`, whatever another version has after it; raises MalformedError."""
        hello = cls(reader.u8("version"), reader.take(NONCE_BYTES, "nonce"))
        if hello.version != GATEWAY_VERSION:
            reader.take(reader.remaining, "rest")
        return hello


@dataclass(frozen=True, slots=True)
class Entry:
    """A box asks to be let in: `member` is its key, `proof` that it holds the ward key."""

    member: bytes
    nonce: bytes
    signature: bytes
    proof: bytes

    def encode(self) -> bytes:
        """160 bytes."""
        return self.member + self.nonce + self.signature + self.proof

    @classmethod
    def read(cls, reader: Reader) -> "Entry":
        """Inverse of `encode`; raises MalformedError."""
        return cls(
            member=reader.take(PUBLIC_KEY_BYTES, "member"),
            nonce=reader.take(NONCE_BYTES, "nonce"),
            signature=reader.take(SIGNATURE_BYTES, "signature"),
            proof=reader.take(PROOF_BYTES, "proof"),
        )


@dataclass(frozen=True, slots=True)
class Welcome:
    """The box is let in: the UDP ports of the gateway that are the box's two sockets to the world.

    `nodes` are the addresses of the gateway's own node, the first that the box can talk to.
    """

    proof: bytes
    sync: int
    broadcast: int
    nodes: tuple[Address, ...]

    def encode(self) -> bytes:
        """37 bytes and 18 for each address."""
        nodes = b"".join(map(pack_address, self.nodes))
        return self.proof + u16(self.sync) + u16(self.broadcast) + u8(len(self.nodes)) + nodes

    @classmethod
    def read(cls, reader: Reader) -> "Welcome":
        """Inverse of `encode`; raises MalformedError."""
        proof = reader.take(PROOF_BYTES, "proof")
        sync, broadcast = reader.u16("sync port"), reader.u16("broadcast port")
        if not sync or not broadcast or sync == broadcast:
            raise MalformedError(f"ports {sync} and {broadcast}")
        count = reader.u8("number of addresses")
        if count > NODES_LIMIT:
            raise MalformedError(f"{count} addresses; the limit is {NODES_LIMIT}")
        return cls(proof, sync, broadcast, tuple(_read_address(reader) for _ in range(count)))


class Refusal(IntEnum):
    """Why a gateway lets a box not in."""

    NOT_OF_THE_WARD = 1
    """It did not prove that it holds the ward's key, and the key that it names."""
    FULL = 2
    """The gateway has as many boxes as it may have."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The box is not let in; the gateway ends the link."""

    reason: Refusal

    def encode(self) -> bytes:
        """One byte."""
        return u8(self.reason)

    @classmethod
    def read(cls, reader: Reader) -> "Refused":
        """Inverse of `encode`; raises MalformedError."""
        number = reader.u8("reason")
        if number not in list(Refusal):
            raise MalformedError(f"reason {number} is unknown")
        return cls(Refusal(number))


@dataclass(frozen=True, slots=True)
class Carried:
    """A datagram from or to the box's socket; `address` is that of the other node."""

    socket: Socket
    address: Address
    data: bytes

    def encode(self) -> bytes:
        """19 bytes and the datagram."""
        return u8(self.socket) + pack_address(self.address) + self.data

    @classmethod
    def read(cls, reader: Reader) -> "Carried":
        """Inverse of `encode`; raises MalformedError."""
        number = reader.u8("socket")
        if number not in (Socket.SYNC, Socket.BROADCAST):
            raise MalformedError(f"socket {number}")
        address = _read_address(reader)
        if not 0 < reader.remaining <= DATAGRAM_LIMIT:
            raise MalformedError(f"a datagram of {reader.remaining} bytes")
        return cls(Socket(number), address, reader.take(reader.remaining, "datagram"))


@dataclass(frozen=True, slots=True)
class Ping:
    """Says that the link stands, where nothing else does."""

    def encode(self) -> bytes:
        """No byte."""
        return b""

    @classmethod
    def read(cls, _reader: Reader) -> "Ping":
        """Inverse of `encode`."""
        return cls()


Frame = Hello | Entry | Welcome | Refused | Carried | Ping

_KINDS: dict[int, type[Frame]] = {
    1: Hello,
    2: Entry,
    3: Welcome,
    4: Refused,
    5: Carried,
    6: Ping,
}
_NUMBERS = {kind: number for number, kind in _KINDS.items()}


def encode_frame(frame: Frame) -> bytes:
    """A frame with its length and kind before it."""
    body = frame.encode()
    return u16(1 + len(body)) + u8(_NUMBERS[type(frame)]) + body


class Frames:
    """Frames out of a stream that comes in pieces; it holds one frame at most."""

    def __init__(self) -> None:
        """Begin with an empty stream."""
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that are whole now.

        Raises:
            MalformedError: there is one that no gateway and no box sends; the link is of no use
                any more.
        """
        self._buffer += data
        start = 0
        try:
            while len(self._buffer) - start >= 2:
                length = int.from_bytes(self._buffer[start : start + 2], "little")
                if not 1 <= length <= FRAME_LIMIT:
                    raise MalformedError(f"a frame of {length} bytes")
                end = start + 2 + length
                if len(self._buffer) < end:
                    return
                raw, start = bytes(self._buffer[start + 2 : end]), end
                yield _decode(raw)
        finally:
            del self._buffer[:start]


def _decode(raw: bytes) -> Frame:
    reader = Reader(raw)
    number = reader.u8("frame kind")
    kind = _KINDS.get(number)
    if kind is None:
        raise MalformedError(f"frame kind {number} is unknown")
    read: Callable[[Reader], Frame] = kind.read
    frame = read(reader)
    reader.finish(kind.__name__)
    return frame


def _read_address(reader: Reader) -> Address:
    address = read_address(reader)
    if not address.port:
        raise MalformedError("an address without a port")
    return address
