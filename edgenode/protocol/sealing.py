"""Sealing: who does not hold the ward's key can neither read, forge nor provoke a datagram.

A datagram is version ‖ nonce ‖ ciphertext ‖ tag with XChaCha20-Poly1305
(draft-irtf-cfrg-xchacha). The nonce is random: 24 bytes are enough that nodes which share one
key, clones of one card among them, never repeat one.
"""

from collections.abc import Callable

from Crypto.Cipher import ChaCha20_Poly1305
from Crypto.Hash import SHA256
from Crypto.Protocol.KDF import HKDF

from edgenode.protocol.wire import BODY_LIMIT, Socket

WARD_KEY_BYTES = 32
SEAL_VERSION = 1
NONCE_BYTES = 24
TAG_BYTES = 16
OVERHEAD_BYTES = 1 + NONCE_BYTES + TAG_BYTES
ENVELOPE_BYTES = 25
DATAGRAM_LIMIT = OVERHEAD_BYTES + ENVELOPE_BYTES + BODY_LIMIT
"""1200 bytes."""


class UnsealError(ValueError):
    """A datagram is no sealed datagram of this ward; it gets no answer."""


class Sealer:
    """Seals and opens the datagrams of one ward."""

    def __init__(
        self, ward_key: bytes, genesis_id: bytes, random_bytes: Callable[[int], bytes]
    ) -> None:
        """Derive a key for each socket (HKDF, RFC 5869), bound to the genesis block.

        Raises:
            ValueError: the ward key has not 32 bytes.
        """
        if len(ward_key) != WARD_KEY_BYTES:
            raise ValueError(f"a ward key has {WARD_KEY_BYTES} bytes, not {len(ward_key)}")
        self._random_bytes = random_bytes
        self._keys = {socket: _derive(ward_key, genesis_id, socket) for socket in Socket}

    def seal(self, socket: Socket, plaintext: bytes) -> bytes:
        """The datagram that carries `plaintext` to the other node's socket of this kind."""
        nonce = self._random_bytes(NONCE_BYTES)
        cipher = ChaCha20_Poly1305.new(key=self._keys[socket], nonce=nonce)
        ciphertext, tag = cipher.encrypt_and_digest(plaintext)
        return bytes([SEAL_VERSION]) + nonce + ciphertext + tag

    def open(self, socket: Socket, datagram: bytes) -> bytes:
        """The plaintext of a datagram that came in on this socket.

        Raises:
            UnsealError: wrong length, version, key or tag.
        """
        if not OVERHEAD_BYTES + ENVELOPE_BYTES <= len(datagram) <= DATAGRAM_LIMIT:
            raise UnsealError(f"datagram of {len(datagram)} bytes")
        if datagram[0] != SEAL_VERSION:
            raise UnsealError(f"seal version {datagram[0]}")
        nonce = datagram[1 : 1 + NONCE_BYTES]
        cipher = ChaCha20_Poly1305.new(key=self._keys[socket], nonce=nonce)
        try:
            return cipher.decrypt_and_verify(
                datagram[1 + NONCE_BYTES : -TAG_BYTES], datagram[-TAG_BYTES:]
            )
        except ValueError:
            raise UnsealError("the tag is not of this ward's key") from None


def _derive(ward_key: bytes, genesis_id: bytes, socket: Socket) -> bytes:
    context = b"edgenode " + socket.name.lower().encode()
    key = HKDF(ward_key, WARD_KEY_BYTES, genesis_id, SHA256, context=context)
    assert isinstance(key, bytes), "one key was asked for"
    return key
