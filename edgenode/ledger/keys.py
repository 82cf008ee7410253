"""Member keys: Ed25519 (RFC 8032) through pycryptodome."""

import secrets
from functools import lru_cache

from Crypto.PublicKey import ECC
from Crypto.PublicKey.ECC import EccKey
from Crypto.Signature import eddsa

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
SEED_BYTES = 32

COFACTOR = 8

NOBODY = bytes(PUBLIC_KEY_BYTES)
"""Stands where no member is meant: the genesis coinbase."""


class MemberKey:
    """A member's private key."""

    def __init__(self, seed: bytes) -> None:
        """Derive the key pair from its 32-byte seed.

        Raises:
            ValueError: the seed has another length.
        """
        if len(seed) != SEED_BYTES:
            raise ValueError(f"a key seed has {SEED_BYTES} bytes, not {len(seed)}")
        self.seed = seed
        self._key = ECC.construct(curve="Ed25519", seed=seed)
        self._signer = eddsa.new(self._key, "rfc8032")
        self.public: bytes = self._key.public_key().export_key(format="raw")

    @classmethod
    def generate(cls) -> "MemberKey":
        """A new key from the system's random source."""
        return cls(secrets.token_bytes(SEED_BYTES))

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature; deterministic."""
        return self._signer.sign(message)


@lru_cache(maxsize=1024)  # decoding a point costs a square root; a ward has hundreds of members
def _public_key(public: bytes) -> EccKey | None:
    try:
        key = eddsa.import_public_key(public)
    except ValueError:
        return None
    # For a point of small order anybody can make signatures that verify.
    return None if (key.pointQ * COFACTOR).is_point_at_infinity() else key


def is_public_key(public: bytes) -> bool:
    """Whether these 32 bytes are a point of the curve, and not one of small order."""
    return len(public) == PUBLIC_KEY_BYTES and _public_key(public) is not None


@lru_cache(maxsize=16384)  # what the mempool checked, a block brings again seconds later
def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature is that key's on that message; bad keys and lengths are a no."""
    key = _public_key(public)
    if key is None or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        eddsa.new(key, "rfc8032").verify(message, signature)
    except ValueError:
        return False
    return True
