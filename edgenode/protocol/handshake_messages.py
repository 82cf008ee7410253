"""The four messages by which two nodes get a session. The layouts stand in docs/gossip.md."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from edgenode.ledger.encoding import MalformedError, Reader, u8, u16, u32, u64
from edgenode.ledger.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, MemberKey, verify
from edgenode.protocol.layout import Layout

PROTOCOL_VERSION = 4

NONCE_BYTES = 16
COOKIE_BYTES = 16
"""128 bits that a stranger would have to guess."""

EPHEMERAL_BYTES = 32
"""An X25519 public key (RFC 7748)."""


@dataclass(frozen=True, slots=True)
class Introduction:
    """Who a node is, as it says under its signature.

    `instance` is a random number of the running process: cards that were cloned share a key.
    `index` is how datagrams name the session to it; `layout` says which sockets it has.
    """

    member: bytes
    instance: int
    index: int
    layout: Layout
    signature: bytes = bytes(SIGNATURE_BYTES)

    def unsigned(self) -> bytes:
        """63 bytes: all but the signature."""
        return self.member + u64(self.instance) + u32(self.index) + self.layout.encode()

    def encode(self) -> bytes:
        """127 bytes."""
        return self.unsigned() + self.signature

    @classmethod
    def read(cls, reader: Reader) -> "Introduction":
        """Inverse of `encode`; raises MalformedError."""
        return cls(
            member=reader.take(PUBLIC_KEY_BYTES, "member key"),
            instance=reader.u64("instance"),
            index=reader.u32("index"),
            layout=Layout.read(reader),
            signature=reader.take(SIGNATURE_BYTES, "signature"),
        )

    def signed(self, key: MemberKey, context: bytes) -> "Introduction":
        """This introduction under its member's signature, which holds in this context only."""
        return replace(self, signature=key.sign(context + self.unsigned()))

    def is_signed(self, context: bytes) -> bool:
        """Whether the signature is the member's, in this context."""
        return verify(self.member, context + self.unsigned(), self.signature)


@dataclass(frozen=True, slots=True)
class Hello:
    """Asks for a session. `nonce` is random; the welcome repeats it."""

    nonce: bytes
    version: int = PROTOCOL_VERSION

    def encode(self) -> bytes:
        """34 bytes, as a welcome has: an unproven address never gets more than it sent."""
        return u16(self.version) + self.nonce + bytes(COOKIE_BYTES)

    @classmethod
    def read(cls, reader: Reader) -> "Hello":
        """Inverse of `encode`; raises MalformedError."""
        version, nonce = reader.u16("protocol version"), reader.take(NONCE_BYTES, "nonce")
        if any(reader.take(COOKIE_BYTES, "padding")):
            raise MalformedError("the padding of a hello is not zero")
        return cls(nonce, version)


@dataclass(frozen=True, slots=True)
class Welcome:
    """Answers a hello. Its sender knows the cookie again, and keeps nothing of the hello."""

    nonce: bytes
    cookie: bytes
    version: int = PROTOCOL_VERSION

    def encode(self) -> bytes:
        """34 bytes."""
        return u16(self.version) + self.nonce + self.cookie

    @classmethod
    def read(cls, reader: Reader) -> "Welcome":
        """Inverse of `encode`; raises MalformedError."""
        version, nonce = reader.u16("protocol version"), reader.take(NONCE_BYTES, "nonce")
        return cls(nonce, reader.take(COOKIE_BYTES, "cookie"), version)


@dataclass(frozen=True, slots=True)
class Offer:
    """Gives the cookie back, says who asks, and brings its half of the session's secret."""

    nonce: bytes
    cookie: bytes
    ephemeral: bytes
    introduction: Introduction

    def encode(self) -> bytes:
        """191 bytes."""
        return self.nonce + self.cookie + self.ephemeral + self.introduction.encode()

    @classmethod
    def read(cls, reader: Reader) -> "Offer":
        """Inverse of `encode`; raises MalformedError."""
        return cls(
            nonce=reader.take(NONCE_BYTES, "nonce"),
            cookie=reader.take(COOKIE_BYTES, "cookie"),
            ephemeral=reader.take(EPHEMERAL_BYTES, "ephemeral key"),
            introduction=Introduction.read(reader),
        )

    def context(self, genesis_id: bytes) -> bytes:
        """What its sender signs together with its introduction."""
        own = self.nonce + self.cookie + self.ephemeral
        return b"edgenode offer" + u16(PROTOCOL_VERSION) + genesis_id + own


@dataclass(frozen=True, slots=True)
class Accept:
    """Answers an offer: the other half of the secret, and who answers."""

    index: int
    ephemeral: bytes
    introduction: Introduction

    def encode(self) -> bytes:
        """163 bytes."""
        return u32(self.index) + self.ephemeral + self.introduction.encode()

    @classmethod
    def read(cls, reader: Reader) -> "Accept":
        """Inverse of `encode`; raises MalformedError."""
        return cls(
            index=reader.u32("index of the offer"),
            ephemeral=reader.take(EPHEMERAL_BYTES, "ephemeral key"),
            introduction=Introduction.read(reader),
        )

    def context(self, genesis_id: bytes, offer: Offer) -> bytes:
        """What its sender signs together with its introduction."""
        both = offer.encode() + self.ephemeral
        return b"edgenode accept" + u16(PROTOCOL_VERSION) + genesis_id + both


HandshakeMessage = Hello | Welcome | Offer | Accept

_KINDS: dict[int, type[HandshakeMessage]] = {1: Hello, 2: Welcome, 3: Offer, 4: Accept}
_NUMBERS = {kind: number for number, kind in _KINDS.items()}


def encode(message: HandshakeMessage) -> bytes:
    """A message with its number before it."""
    return u8(_NUMBERS[type(message)]) + message.encode()


def decode(data: bytes) -> HandshakeMessage:
    """Inverse of `encode`; raises MalformedError."""
    reader = Reader(data)
    number = reader.u8("handshake message")
    kind = _KINDS.get(number)
    if kind is None:
        raise MalformedError(f"handshake message {number} is unknown")
    read: Callable[[Reader], HandshakeMessage] = kind.read
    message = read(reader)
    reader.finish(kind.__name__)
    return message
