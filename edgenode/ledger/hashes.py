"""The ledger's hashes: block ids, transaction ids and content ids."""

import hashlib

from Crypto.Hash import RIPEMD160

from edgenode.ledger.encoding import u32

PIECE_BYTES = 32 * 1024
"""A payload is hashed in pieces of this size, so that a receiver could check, and blame one
sender for, 32 KiB at a time; 35 piece hashes still fit one datagram."""


def sha256d(data: bytes) -> bytes:
    """SHA-256(SHA-256(data)), 32 bytes."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def hash160(data: bytes) -> bytes:
    """RIPEMD-160(SHA-256(data)), 20 bytes.

    The RIPEMD-160 is pycryptodome's: OpenSSL 3 may be built without it.
    """
    return RIPEMD160.new(hashlib.sha256(data).digest()).digest()


def piece_hashes(data: bytes) -> list[bytes]:
    """SHA-256 of each piece of at most `PIECE_BYTES`, in order; empty for empty data."""
    view = memoryview(data)  # slices of which are no copies
    return [
        hashlib.sha256(view[start : start + PIECE_BYTES]).digest()
        for start in range(0, len(data), PIECE_BYTES)
    ]


def piece_list(length: int, hashes: list[bytes]) -> bytes:
    """What a content id is the SHA-256 of: length (bytes) ‖ piece hashes."""
    return u32(length) + b"".join(hashes)


def content_id_of_pieces(length: int, hashes: list[bytes]) -> bytes:
    """The content id of data with this length (bytes) and these piece hashes."""
    return hashlib.sha256(piece_list(length, hashes)).digest()


def content_id(data: bytes) -> bytes:
    """The 32-byte name of a payload or parameter vector: SHA-256(length ‖ piece hashes)."""
    return content_id_of_pieces(len(data), piece_hashes(data))


def display(block_id: bytes) -> str:
    """A block id as people and Bitcoin's tools write it: big-endian hexadecimal."""
    return block_id[::-1].hex()


def from_display(text: str) -> bytes:
    """Inverse of `display`.

    Raises:
        ValueError: not 64 hexadecimal digits.
    """
    block_id = bytes.fromhex(text)[::-1]
    if len(block_id) != 32:
        raise ValueError(f"a block id has 64 hexadecimal digits, not {len(text)}")
    return block_id
