"""Who is let in by a gateway: proofs of the ward key on both sides, and of the member's key.

A link that anybody may open, by Bluetooth from beyond a wall, must not be a way into the
hospital's network, nor may a stranger's gateway draw boxes to itself. Each side proves with
HMAC-SHA256 that it holds the ward key; the box signs for the member's key by which it keeps its
ports.
"""

import hmac

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from edgenode.ledger.keys import MemberKey, verify
from edgenode.protocol.gateway_wire import GATEWAY_VERSION, PROOF_BYTES, Entry, Hello, Welcome
from edgenode.protocol.wire import Address

_OF_BOX, _OF_GATEWAY = b"box", b"gateway"


class Door:
    """The proofs of one ward's gateways and boxes."""

    def __init__(self, ward_key: bytes, genesis_id: bytes) -> None:
        """Derive the key (HKDF, RFC 5869), bound to the genesis block."""
        self._genesis_id = genesis_id
        self._key = HKDF(SHA256(), PROOF_BYTES, genesis_id, b"edgenode gateway").derive(ward_key)

    def enter(self, hello: Hello, key: MemberKey, nonce: bytes) -> Entry:
        """What a box says to a gateway's hello; `nonce` is of 32 random bytes."""
        signature = key.sign(self._signed(hello, nonce))
        return Entry(
            member=key.public,
            nonce=nonce,
            signature=signature,
            proof=self._proof(_OF_BOX, hello, nonce, key.public),
        )

    def lets_in(self, hello: Hello, entry: Entry) -> bool:
        """Whether a box has proved what it must, in answer to this hello."""
        proof = self._proof(_OF_BOX, hello, entry.nonce, entry.member)
        if not hmac.compare_digest(proof, entry.proof):
            return False  # before a signature, which costs more
        return verify(entry.member, self._signed(hello, entry.nonce), entry.signature)

    def welcome(
        self, hello: Hello, entry: Entry, ports: tuple[int, int], nodes: tuple[Address, ...]
    ) -> Welcome:
        """What a gateway says to a box that it lets in."""
        said = Welcome(b"", *ports, nodes).encode()
        proof = self._proof(_OF_GATEWAY, hello, entry.nonce, entry.member + said)
        return Welcome(proof, *ports, nodes)

    def believes(self, hello: Hello, entry: Entry, welcome: Welcome) -> bool:
        """Whether the gateway holds the ward key, and has said this."""
        said = Welcome(b"", welcome.sync, welcome.broadcast, welcome.nodes).encode()
        proof = self._proof(_OF_GATEWAY, hello, entry.nonce, entry.member + said)
        return hmac.compare_digest(proof, welcome.proof)

    def _proof(self, role: bytes, hello: Hello, nonce: bytes, said: bytes) -> bytes:
        return hmac.digest(self._key, role + hello.nonce + nonce + said, "sha256")

    def _signed(self, hello: Hello, nonce: bytes) -> bytes:
        version = bytes([GATEWAY_VERSION])
        return b"edgenode gateway" + version + self._genesis_id + hello.nonce + nonce
