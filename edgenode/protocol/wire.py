"""Messages of the gossip wire and their bytes. The layouts stand in docs/gossip.md."""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from edgenode.ledger.encoding import MalformedError, Reader, u8, u16, u32
from edgenode.ledger.hashes import PIECE_BYTES
from edgenode.ledger.header import HEADER_BYTES, Header
from edgenode.ledger.transaction import TRANSACTION_BYTES_LIMIT
from edgenode.protocol.channel import CHANNEL_BYTES

DATAGRAM_LIMIT = 1200
"""Bytes of a datagram, which every IPv6 path carries unfragmented with room for tunnels."""

BODY_LIMIT = DATAGRAM_LIMIT - CHANNEL_BYTES - 1
"""Longest body of a message (1170)."""

CHUNK_BYTES = 1130
"""Bytes of an object in one chunk: 29 of them, the last a little shorter, make a piece."""

CHUNKS_PER_PIECE = -(-PIECE_BYTES // CHUNK_BYTES)
"""Chunks of a piece (29); none lies in two pieces, each of which has a hash of its own."""

PIECES_LIMIT = 1024
"""Pieces of an object: 32 MiB, the longest state."""

HOLDINGS_LIMIT = 8
"""Objects of one message about pieces: the updates of a block."""

HEADERS_LIMIT = BODY_LIMIT // HEADER_BYTES
"""Headers of one datagram (14)."""

LOCATOR_LIMIT = 32
"""Block ids of a locator: eleven steps of one, then doubling, reach back 2^21 blocks."""

IDS_LIMIT = 32
"""Transaction ids of one status or request; a ward rarely has more waiting at a time."""

ADDRESSES_LIMIT = 32
"""Addresses of one answer; a node needs six peers, and more addresses invite flooding."""

RANGES_LIMIT = 16
CHUNKS_LIMIT = 32
"""Chunks that one request may ask for, so that its 74 to 164 bytes call forth 39 kB at most."""


class Address(NamedTuple):
    """Where a socket is: an IPv4 or IPv6 address in text, and a UDP port."""

    host: str
    port: int

    def __str__(self) -> str:
        """As host:port, IPv6 in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def site(self) -> str:
        """What one box can have any number of addresses in: an IPv4 address, an IPv6 /64."""
        if ":" not in self.host:
            return self.host
        return ipaddress.IPv6Address(self.host.partition("%")[0]).packed[:8].hex()


class Socket(IntEnum):
    """The two sockets of a node (paper, section on the peer-to-peer network), and a third.

    On `DISCOVERY` a node hears the beacons of others on its LAN.
    """

    SYNC = 0
    BROADCAST = 1
    DISCOVERY = 2


@dataclass(frozen=True, slots=True)
class Datagram:
    """Bytes to send from one of this node's sockets to `address`."""

    socket: Socket
    address: Address
    data: bytes


class ObjectKind(IntEnum):
    """What can be pulled in chunks."""

    BLOCK = 1
    PAYLOAD = 2
    STATE = 3
    PARAMETERS = 4
    PIECES = 5
    """The length and the pieces' hashes of what has this content id."""


@dataclass(frozen=True, slots=True)
class Tip:
    """A node's head: its id, height, the total work of its chain (hashes), and what is justified.

    `justified` is the height of the chain's highest justified checkpoint.
    """

    head: bytes
    height: int
    work: int
    justified: int

    @property
    def rank(self) -> tuple[int, int]:
        """What nodes choose a branch by, as far as its maker is to be believed."""
        return self.justified, self.work

    def encode(self) -> bytes:
        """72 bytes."""
        return b"".join(
            (
                self.head,
                u32(self.height),
                self.work.to_bytes(32, "little"),
                u32(self.justified),
            )
        )

    @classmethod
    def read(cls, reader: Reader) -> "Tip":
        """Inverse of `encode`; raises MalformedError."""
        return cls(
            head=reader.take(32, "head"),
            height=reader.u32("height"),
            work=int.from_bytes(reader.take(32, "work"), "little"),
            justified=reader.u32("justified height"),
        )


@dataclass(frozen=True, slots=True)
class Status:
    """Says where a node stands, keeps the session alive and measures its round trip.

    `sequence` numbers the sender's statuses; `echo` is the last one received from the other
    side and `held` the microseconds since (RFC 3550 measures so). `waiting` are ids of
    transactions in the sender's mempool: a lost announcement is made good here.
    """

    tip: Tip
    sequence: int
    echo: int
    held: int
    waiting: tuple[bytes, ...]

    def encode(self) -> bytes:
        """85 bytes and 20 for each waiting transaction."""
        return b"".join(
            (
                self.tip.encode(),
                u32(self.sequence),
                u32(self.echo),
                u32(self.held),
                _ids(self.waiting),
            )
        )

    @classmethod
    def read(cls, reader: Reader) -> "Status":
        """Inverse of `encode`; raises MalformedError."""
        return cls(
            tip=Tip.read(reader),
            sequence=reader.u32("sequence"),
            echo=reader.u32("echo"),
            held=reader.u32("hold time"),
            waiting=_read_ids(reader),
        )


@dataclass(frozen=True, slots=True)
class GetAddresses:
    """Asks for addresses of other nodes."""

    def encode(self) -> bytes:
        """No byte."""
        return b""

    @classmethod
    def read(cls, _reader: Reader) -> "GetAddresses":
        """Inverse of `encode`."""
        return cls()


@dataclass(frozen=True, slots=True)
class Addresses:
    """Sync addresses of nodes that the sender has a session with."""

    addresses: tuple[Address, ...]

    def encode(self) -> bytes:
        """18 bytes each: IPv6 (IPv4 mapped into it) and port."""
        return u8(len(self.addresses)) + b"".join(map(pack_address, self.addresses))

    @classmethod
    def read(cls, reader: Reader) -> "Addresses":
        """Inverse of `encode`; raises MalformedError."""
        count = _bounded(reader.u8("number of addresses"), ADDRESSES_LIMIT, "addresses")
        return cls(tuple(read_address(reader) for _ in range(count)))


@dataclass(frozen=True, slots=True)
class GetHeaders:
    """Asks for the headers that follow the first id of the locator that is in the other's chain."""

    locator: tuple[bytes, ...]

    def encode(self) -> bytes:
        """32 bytes each."""
        return u8(len(self.locator)) + b"".join(self.locator)

    @classmethod
    def read(cls, reader: Reader) -> "GetHeaders":
        """Inverse of `encode`; raises MalformedError."""
        count = _bounded(reader.u8("length of the locator"), LOCATOR_LIMIT, "ids in a locator")
        return cls(tuple(reader.take(32, "block id") for _ in range(count)))


@dataclass(frozen=True, slots=True)
class Headers:
    """Consecutive headers of the sender's chain, 80 bytes each, in answer to `GetHeaders`."""

    headers: bytes

    def encode(self) -> bytes:
        """Their number, then the headers."""
        return u8(len(self.headers) // HEADER_BYTES) + self.headers

    @classmethod
    def read(cls, reader: Reader) -> "Headers":
        """Inverse of `encode`; raises MalformedError."""
        count = _bounded(reader.u8("number of headers"), HEADERS_LIMIT, "headers")
        return cls(reader.take(HEADER_BYTES * count, "headers"))


@dataclass(frozen=True, slots=True)
class GetChunks:
    """Asks for chunks of an object, as ranges (first, count); the answers repeat `tag`."""

    kind: ObjectKind
    id: bytes
    tag: int
    ranges: tuple[tuple[int, int], ...]

    def encode(self) -> bytes:
        """38 bytes and 6 for each range."""
        return b"".join(
            (
                u8(self.kind),
                self.id,
                u32(self.tag),
                u8(len(self.ranges)),
                *(u32(first) + u16(count) for first, count in self.ranges),
            )
        )

    @classmethod
    def read(cls, reader: Reader) -> "GetChunks":
        """Inverse of `encode`; raises MalformedError."""
        kind, name = _read_object(reader)
        tag = reader.u32("tag")
        count = _bounded(reader.u8("number of ranges"), RANGES_LIMIT, "ranges")
        ranges = tuple((reader.u32("first chunk"), reader.u16("chunks")) for _ in range(count))
        _bounded(sum(chunks for _, chunks in ranges), CHUNKS_LIMIT, "chunks asked for")
        if not ranges or not all(chunks for _, chunks in ranges):
            raise MalformedError("a request that asks for nothing")
        return cls(kind, name, tag, ranges)


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of an object of `length` bytes in all, in answer to the request with `tag`.

    `sent` is the sender's clock in microseconds, modulo 2^32: by it the receiver sees queues.
    """

    tag: int
    index: int
    length: int
    sent: int
    data: bytes

    def encode(self) -> bytes:
        """16 bytes and the data."""
        return u32(self.tag) + u32(self.index) + u32(self.length) + u32(self.sent) + self.data

    @classmethod
    def read(cls, reader: Reader) -> "Chunk":
        """Inverse of `encode`; raises MalformedError when index and length do not agree."""
        tag, index = reader.u32("tag"), reader.u32("chunk index")
        length, sent = reader.u32("object length"), reader.u32("time")
        start, end = chunk_span(length, index)
        if end <= start:
            raise MalformedError(f"chunk {index} of an object of {length} bytes")
        return cls(tag, index, length, sent, reader.take(end - start, "chunk"))


@dataclass(frozen=True, slots=True)
class Holding:
    """Which pieces of an object a node has: bit i of `held` is set for the piece i of `pieces`."""

    kind: ObjectKind
    id: bytes
    pieces: int
    held: int

    def encode(self) -> bytes:
        """35 bytes, and one for each eight pieces."""
        bits = self.held.to_bytes(-(-self.pieces // 8), "little")
        return u8(self.kind) + self.id + u16(self.pieces) + bits

    @classmethod
    def read(cls, reader: Reader) -> "Holding":
        """Inverse of `encode`; raises MalformedError."""
        kind, name = _read_object(reader)
        pieces = _bounded(reader.u16("number of pieces"), PIECES_LIMIT, "pieces")
        held = int.from_bytes(reader.take(-(-pieces // 8), "pieces"), "little")
        if held >> pieces:
            raise MalformedError(f"a piece beyond the last of {pieces}")
        return cls(kind, name, pieces, held)


@dataclass(frozen=True, slots=True)
class Holdings:
    """Says which pieces the sender has of objects that it pulls, or has as a whole."""

    holdings: tuple[Holding, ...]

    def encode(self) -> bytes:
        """Their number, then the objects."""
        return u8(len(self.holdings)) + b"".join(holding.encode() for holding in self.holdings)

    @classmethod
    def read(cls, reader: Reader) -> "Holdings":
        """Inverse of `encode`; raises MalformedError."""
        count = _bounded(reader.u8("number of objects"), HOLDINGS_LIMIT, "objects")
        return cls(tuple(Holding.read(reader) for _ in range(count)))


@dataclass(frozen=True, slots=True)
class Absent:
    """The sender does not have this object."""

    kind: ObjectKind
    id: bytes

    def encode(self) -> bytes:
        """33 bytes."""
        return u8(self.kind) + self.id

    @classmethod
    def read(cls, reader: Reader) -> "Absent":
        """Inverse of `encode`; raises MalformedError."""
        return cls(*_read_object(reader))


@dataclass(frozen=True, slots=True)
class GetTransactions:
    """Asks for waiting transactions by id."""

    ids: tuple[bytes, ...]

    def encode(self) -> bytes:
        """20 bytes each."""
        return _ids(self.ids)

    @classmethod
    def read(cls, reader: Reader) -> "GetTransactions":
        """Inverse of `encode`; raises MalformedError."""
        return cls(_read_ids(reader))


@dataclass(frozen=True, slots=True)
class NewTransaction:
    """A raw transaction; an update in it announces its payload, which the sender has."""

    raw: bytes

    def encode(self) -> bytes:
        """The raw transaction."""
        return self.raw

    @classmethod
    def read(cls, reader: Reader) -> "NewTransaction":
        """Inverse of `encode`; raises MalformedError."""
        _bounded(reader.remaining, TRANSACTION_BYTES_LIMIT, "bytes of a transaction")
        return cls(reader.take(reader.remaining, "transaction"))


class Reason(IntEnum):
    """Why a session ends."""

    STOPS = 1
    """The sender stops."""
    CROWDED = 2
    """The sender has no place for it any more."""


@dataclass(frozen=True, slots=True)
class Goodbye:
    """Ends the session."""

    reason: Reason

    def encode(self) -> bytes:
        """One byte."""
        return u8(self.reason)

    @classmethod
    def read(cls, reader: Reader) -> "Goodbye":
        """Inverse of `encode`; raises MalformedError."""
        number = reader.u8("reason")
        if number not in list(Reason):
            raise MalformedError(f"reason {number} is unknown")
        return cls(Reason(number))


@dataclass(frozen=True, slots=True)
class NewBlock:
    """The header of the sender's new head; the block is pulled through the sync socket."""

    header: Header
    tip: Tip

    def encode(self) -> bytes:
        """148 bytes."""
        return self.header.encode() + self.tip.encode()

    @classmethod
    def read(cls, reader: Reader) -> "NewBlock":
        """Inverse of `encode`; raises MalformedError."""
        header = Header.decode(reader.take(HEADER_BYTES, "header"))
        return cls(header, Tip.read(reader))


Message = (
    Status
    | GetAddresses
    | Addresses
    | GetHeaders
    | Headers
    | GetChunks
    | Chunk
    | Absent
    | GetTransactions
    | NewTransaction
    | NewBlock
    | Holdings
    | Goodbye
)

_KINDS: dict[int, type[Message]] = {
    1: Status,
    2: GetAddresses,
    3: Addresses,
    4: GetHeaders,
    5: Headers,
    6: GetChunks,
    7: Chunk,
    8: Absent,
    9: GetTransactions,
    10: NewTransaction,
    11: NewBlock,
    12: Holdings,
    13: Goodbye,
}
_NUMBERS = {kind: number for number, kind in _KINDS.items()}

_NAMES = {kind: re.sub("(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower() for kind in _NUMBERS}


def kind_of(message: Message) -> str:
    """What metrics call a message: "get_chunks" is a `GetChunks`."""
    return _NAMES[type(message)]


BROADCAST_KINDS: frozenset[type[Message]] = frozenset({NewTransaction, NewBlock})
"""What travels on the broadcast socket; everything may travel on the sync socket."""

SERVED_KINDS: frozenset[type[Message]] = frozenset({GetAddresses, GetHeaders, GetChunks})
"""What a node without a sync socket is not asked."""


def encode(message: Message) -> bytes:
    """A message with its number before it."""
    body = message.encode()
    assert len(body) <= BODY_LIMIT, f"{type(message).__name__} of {len(body)} bytes"
    return u8(_NUMBERS[type(message)]) + body


def decode(data: bytes) -> Message:
    """Inverse of `encode`; raises MalformedError."""
    reader = Reader(data)
    number = reader.u8("message kind")
    kind = _KINDS.get(number)
    if kind is None:
        raise MalformedError(f"message kind {number} is unknown")
    _bounded(reader.remaining, BODY_LIMIT, "bytes of a body")
    read: Callable[[Reader], Message] = kind.read
    message = read(reader)
    reader.finish(kind.__name__)
    return message


def chunk_count(length: int) -> int:
    """Chunks of an object of `length` bytes."""
    pieces, rest = divmod(length, PIECE_BYTES)
    return pieces * CHUNKS_PER_PIECE - (-rest // CHUNK_BYTES)


def chunk_span(length: int, index: int) -> tuple[int, int]:
    """Begin and end of chunk `index` of an object of `length` bytes; empty if there is none."""
    piece, place = divmod(index, CHUNKS_PER_PIECE)
    start = piece * PIECE_BYTES + place * CHUNK_BYTES
    return start, min(start + CHUNK_BYTES, (piece + 1) * PIECE_BYTES, length)


def _bounded(count: int, limit: int, what: str) -> int:
    if count > limit:
        raise MalformedError(f"{count} {what}; the limit is {limit}")
    return count


def _ids(ids: tuple[bytes, ...]) -> bytes:
    return u8(len(ids)) + b"".join(ids)


def _read_ids(reader: Reader) -> tuple[bytes, ...]:
    count = _bounded(reader.u8("number of ids"), IDS_LIMIT, "ids")
    return tuple(reader.take(20, "transaction id") for _ in range(count))


def _read_object(reader: Reader) -> tuple[ObjectKind, bytes]:
    number = reader.u8("object kind")
    if number not in list(ObjectKind):
        raise MalformedError(f"object kind {number} is unknown")
    return ObjectKind(number), reader.take(32, "object id")


def pack_address(address: Address) -> bytes:
    """18 bytes of an address: host and port."""
    return pack_ip(address.host) + u16(address.port)


def read_address(reader: Reader) -> Address:
    """Inverse of `pack_address`; raises MalformedError."""
    return Address(read_ip(reader.take(16, "address")), reader.u16("port"))


def pack_ip(host: str) -> bytes:
    """16 bytes of an address, IPv4 mapped into IPv6 (RFC 4291, 2.5.5.2), without a zone."""
    ip = ipaddress.ip_address(host)
    return ip.packed if ip.version == 6 else bytes(10) + b"\xff\xff" + ip.packed


def read_ip(packed: bytes) -> str:
    """Inverse of `pack_ip`."""
    ip = ipaddress.IPv6Address(packed)
    return str(ip.ipv4_mapped or ip)
