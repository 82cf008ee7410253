"""The 80-byte block header: Bitcoin's fields in Bitcoin's order."""

import struct
from array import array
from dataclasses import dataclass
from functools import cached_property

from edgenode.ledger.encoding import MalformedError
from edgenode.ledger.hashes import sha256d

HEADER_BYTES = 80
HEADER_VERSION = 1
ID_BYTES = 32

_LAYOUT = struct.Struct("<I32s32sIII")
_TIME = struct.Struct("<68xI8x")


@dataclass(frozen=True)
class Header:
    """What proof of work is done on.

    `previous` and `merkle_root` are 32 bytes in internal (little-endian) order, `time` is in
    Unix seconds, `target` is in compact form.
    """

    version: int
    previous: bytes
    merkle_root: bytes
    time: int
    target: int
    nonce: int

    def encode(self) -> bytes:
        """The 80 bytes."""
        return _LAYOUT.pack(
            self.version, self.previous, self.merkle_root, self.time, self.target, self.nonce
        )

    @classmethod
    def decode(cls, data: bytes) -> "Header":
        """Parse 80 bytes; every 80 bytes parse.

        Raises:
            MalformedError: another length.
        """
        if len(data) != HEADER_BYTES:
            raise MalformedError(f"a header has {HEADER_BYTES} bytes, not {len(data)}")
        return cls(*_LAYOUT.unpack(data))

    @classmethod
    def hashed(cls, data: bytes, block_id: bytes) -> "Header":
        """Parse 80 bytes whose id was computed already; raises as `decode`."""
        header = cls.decode(data)
        header.__dict__["id"] = block_id  # where the cached property looks first
        return header

    @cached_property
    def id(self) -> bytes:
        """SHA-256d of the header, 32 bytes in internal order."""
        return sha256d(self.encode())


def header_times(headers: bytes) -> "array[int]":
    """The times of headers of 80 bytes, in Unix seconds."""
    return array("I", [time for (time,) in _TIME.iter_unpack(headers)])
