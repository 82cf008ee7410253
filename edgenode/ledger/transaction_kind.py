"""The first byte of a transaction, and what all kinds have in common."""

from abc import ABC, abstractmethod
from enum import IntEnum
from functools import cached_property

from edgenode.ledger.hashes import hash160


class Kind(IntEnum):
    """The first byte of a transaction."""

    COINBASE = 0
    UPDATE = 1
    TRANSFER = 2
    ENROLMENT = 3
    REVOCATION = 4
    ENDORSEMENT = 5


class Identified(ABC):
    """Something with raw bytes, which name it."""

    @abstractmethod
    def encode(self) -> bytes:
        """The raw bytes."""

    @cached_property
    def id(self) -> bytes:
        """RIPEMD-160(SHA-256(raw)), 20 bytes."""
        return hash160(self.encode())
