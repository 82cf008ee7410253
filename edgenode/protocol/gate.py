"""The ward's gate: who does not hold the ward key can neither read, forge nor provoke a handshake.

A datagram is form ‖ nonce ‖ ciphertext ‖ tag: ChaCha20-Poly1305 (RFC 8439) under a key that is used
once, HMAC-SHA256 of the nonce under the gate's key. The nonce is random: 24 bytes are enough that
nodes which share one key, clones of one card among them, never repeat one.
"""

import hmac
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edgenode.protocol.drops import Drop, Dropped

WARD_KEY_BYTES = 32
GATE_FORM = 2
"""First byte of a handshake's datagram. Form 1 was that of version 2 of the protocol."""

NONCE_BYTES = 24
TAG_BYTES = 16
GATE_BYTES = 1 + NONCE_BYTES + TAG_BYTES
"""What the gate adds to a message."""

_ONCE = bytes(12)
"""The nonce of a key that seals one message."""


class Gate:
    """Seals and opens the handshakes of one ward.

    Attributes:
        secret: 32 bytes of the ward that go into the keys of each of its sessions.
    """

    def __init__(
        self, ward_key: bytes, genesis_id: bytes, random_bytes: Callable[[int], bytes]
    ) -> None:
        """Derive keys (HKDF, RFC 5869), bound to the genesis block.

        Raises:
            ValueError: the ward key has not 32 bytes.
        """
        if len(ward_key) != WARD_KEY_BYTES:
            raise ValueError(f"a ward key has {WARD_KEY_BYTES} bytes, not {len(ward_key)}")
        self._random_bytes = random_bytes
        self._key = _derive(ward_key, genesis_id, b"edgenode gate")
        self.secret = _derive(ward_key, genesis_id, b"edgenode ward")

    def seal(self, plaintext: bytes) -> bytes:
        """The datagram that carries `plaintext`."""
        nonce = self._random_bytes(NONCE_BYTES)
        sealed = self._cipher(nonce).encrypt(_ONCE, plaintext, None)
        return bytes([GATE_FORM]) + nonce + sealed

    def open(self, datagram: bytes) -> bytes:
        """The plaintext of a datagram.

        Raises:
            Dropped: it is too short, of another form, or not of this ward.
        """
        if len(datagram) < GATE_BYTES or datagram[0] != GATE_FORM:
            raise Dropped(Drop.UNSEALED)
        cipher = self._cipher(datagram[1 : 1 + NONCE_BYTES])
        try:
            return cipher.decrypt(_ONCE, datagram[1 + NONCE_BYTES :], None)
        except InvalidTag:
            raise Dropped(Drop.UNSEALED) from None

    def _cipher(self, nonce: bytes) -> ChaCha20Poly1305:
        return ChaCha20Poly1305(hmac.digest(self._key, nonce, "sha256"))


def _derive(ward_key: bytes, genesis_id: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), WARD_KEY_BYTES, genesis_id, info).derive(ward_key)
