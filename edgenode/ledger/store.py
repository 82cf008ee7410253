"""What the chain asks of its store. `edgenode.storage.chain` keeps this promise in SQLite."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgenode.ledger.accounts import Account, AccountsUndo
from edgenode.ledger.block import Block
from edgenode.ledger.header import Header

PARAMETERS_KEPT = 128
"""Blocks below the head whose parameters stay at hand: more than any reorganisation that is
not an accident of hours."""

SNAPSHOT_INTERVAL = 128
SNAPSHOTS_KEPT = 64
"""Of the blocks before those, the parameters at every 128th height stay, back to the 64th such:
eight days at a spacing of 90 s. Others are recomputed from the payloads, from the nearest kept."""


class AlteredError(Exception):
    """What the store gives back is not what was put in: the disk has altered it."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A block that joins the chain, with what it brings: undo record and parameters by root.

    `parameters` may be empty for a block of a long move that is followed by many others.
    """

    block: Block
    undo: AccountsUndo
    parameters: Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Switch:
    """One move of the head: blocks leave from the tip down, blocks join from the fork up.

    `accounts` are the accounts that the whole move changes, as they stand after it.
    """

    height: int
    disconnected: Sequence[bytes]
    connected: Sequence[Connected]
    accounts: dict[bytes, Account]


class ChainStore(Protocol):
    """Durable storage of one ward's chain. A method that returned has reached the disk."""

    def headers(self) -> Iterable[Header]:
        """Headers of all stored blocks, parents before children, genesis not among them."""

    def active(self) -> Sequence[bytes]:
        """Block ids of the chain, from height 1 to the head."""

    def accounts(self) -> dict[bytes, Account]:
        """All accounts at the head."""

    def block(self, block_id: bytes) -> Block | None:
        """A stored block; raises AlteredError."""

    def undo(self, block_id: bytes) -> AccountsUndo:
        """The undo record of a block of the chain; raises KeyError, AlteredError."""

    def payload(self, content_id: bytes) -> bytes | None:
        """A stored payload, as the disk gives it."""

    def has_payload(self, content_id: bytes) -> bool:
        """Whether `payload` would give it."""

    def parameters(self, root: bytes) -> bytes | None:
        """Parameters by content id, if they are still kept."""

    def add_block(self, block: Block, height: int) -> None:
        """Keep a block that is not (yet) part of the chain."""

    def add_payload(self, content_id: bytes, payload: bytes) -> None:
        """Keep a payload, in the place of one under this id that the disk has altered."""

    def drop_payload(self, content_id: bytes) -> None:
        """Forget a payload that is not what its name says."""

    def drop_block(self, block_id: bytes) -> None:
        """Forget a refused block and the payloads that no other stored block names."""

    def switch(self, change: Switch) -> None:
        """Move the head: all of it or, when power fails, nothing of it."""
