"""A channel: the keys of two nodes for one session between them, and what was seen under them.

A datagram is form ‖ index ‖ counter ‖ ciphertext ‖ tag: ChaCha20-Poly1305 (RFC 8439) under the key
of its direction, with the counter as nonce and what precedes the ciphertext as associated data.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from edgenode.ledger.encoding import u32, u64
from edgenode.protocol.drops import Drop, Dropped
from edgenode.protocol.replay import ReplayWindow

CHANNEL_FORM = 3
"""First byte of a session's datagram."""

HEAD_BYTES = 13
TAG_BYTES = 16
CHANNEL_BYTES = HEAD_BYTES + TAG_BYTES
"""What a channel adds to a message."""

_FORM = bytes([CHANNEL_FORM])


class Channel:
    """Seals what goes to the other node, opens what comes from it, each datagram once.

    Attributes:
        local: The index by which the other node's datagrams name this channel.
        made: When it was made, in the monotonic clock's seconds.
        asked: Whether this node has asked for it.
        heard: When something came through it last; None if nothing did.
    """

    __slots__ = (
        "_counter",
        "_opening",
        "_remote",
        "_seen",
        "_sending",
        "asked",
        "heard",
        "local",
        "made",
    )

    def __init__(
        self,
        *,
        local: int,
        remote: int,
        sending: bytes,
        receiving: bytes,
        made: float,
        asked: bool,
    ) -> None:
        """`sending` and `receiving` are the keys of the two directions, 32 bytes each."""
        self.local = local
        self.made = made
        self.asked = asked
        self.heard: float | None = None
        self._remote = u32(remote)
        self._sending = ChaCha20Poly1305(sending)
        self._opening = ChaCha20Poly1305(receiving)
        self._counter = 0
        self._seen = ReplayWindow()

    def seal(self, plaintext: bytes) -> bytes:
        """The datagram that carries `plaintext` to the other node."""
        counter = u64(self._counter)
        self._counter += 1
        head = _FORM + self._remote + counter
        return head + self._sending.encrypt(bytes(4) + counter, plaintext, head)

    def open(self, datagram: bytes, now: float) -> bytes:
        """The plaintext of a datagram that names this channel.

        Raises:
            Dropped: the other node did not seal it so, or it was taken already.
        """
        head = datagram[:HEAD_BYTES]
        try:
            plaintext = self._opening.decrypt(bytes(4) + head[5:], datagram[HEAD_BYTES:], head)
        except InvalidTag:
            raise Dropped(Drop.UNSEALED) from None
        # Only now: a number that anybody can write must not use up the window.
        if not self._seen.accept(int.from_bytes(head[5:], "little")):
            raise Dropped(Drop.REPLAYED)
        self.heard = now
        return plaintext


def index_of(datagram: bytes) -> int:
    """The index of the channel that a datagram names.

    Raises:
        Dropped: it is too short, or of another form.
    """
    if len(datagram) < CHANNEL_BYTES or datagram[0] != CHANNEL_FORM:
        raise Dropped(Drop.UNSEALED)
    return int.from_bytes(datagram[1:5], "little")
