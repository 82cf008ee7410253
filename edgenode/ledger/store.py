"""What the chain asks of its store. `edgenode.storage.chain` keeps this promise in SQLite."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from edgenode.ledger.block import Block
from edgenode.ledger.finality import Checkpoint
from edgenode.ledger.header_index import HeaderIndex
from edgenode.ledger.records import Records, Undo

PARAMETERS_KEPT = 128
"""Blocks below the head whose parameters stay at hand: more than any reorganisation that is
not an accident of hours."""

SNAPSHOTS_KEPT = 64
"""Of the blocks before those, the parameters below each block that commits to the state stay, back
to the 64th such, eight days at a spacing of 90 s, or to the lowest state that is kept. Others are
recomputed from the payloads, from the nearest kept."""


class AlteredError(Exception):
    """What the store gives back is not what was put in: the disk has altered it."""


class MissingDataError(LookupError):
    """Something that the chain needs is neither kept nor can be recomputed."""


@dataclass(frozen=True, slots=True)
class Connected:
    """A block that joins the chain, with what it brings: undo record and parameters by root.

    `parameters` may be empty for a block of a long move that is followed by many others.
    """

    block: Block
    undo: Undo
    parameters: Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Switch:
    """One move of the head: blocks leave from the tip down, blocks join from the fork up.

    `records` are those that the whole move changes, as they stand after it; None for one that is
    gone. `states` are those that blocks which join commit to, `final` is what is final from now on.
    """

    height: int
    disconnected: Sequence[bytes]
    connected: Sequence[Connected]
    records: dict[bytes, bytes | None]
    states: Sequence["KeptState"] = ()
    final: Checkpoint | None = None


@dataclass(frozen=True, slots=True)
class KeptState:
    """All records after the block at a height, in their one form, with their root."""

    height: int
    root: bytes
    raw: bytes


@dataclass(frozen=True, slots=True)
class Joined:
    """A place in the chain to go on from: its block, the state after it, all parameters by root."""

    block: Block
    state: KeptState
    records: Mapping[bytes, bytes]
    parameters: Sequence[tuple[bytes, bytes]]


class ChainStore(Protocol):
    """Durable storage of one ward's chain.

    A method that returned has reached the disk; only headers may wait, for the next one or for
    `headers.keep`.
    """

    @property
    def headers(self) -> HeaderIndex:
        """All headers, those of the stored blocks and those without a block.

        What waits there to be written is written with whatever else is.
        """

    def head(self) -> bytes:
        """Id of the block that the chain ends in; genesis at first."""

    def final(self) -> Checkpoint | None:
        """The last final block that a move of the head has named, if one has."""

    @property
    def records(self) -> Records:
        """The records at the head, always as they stand."""

    def found(self, records: Mapping[bytes, bytes]) -> None:
        """Take the records of genesis into a new store."""

    def block(self, block_id: bytes) -> Block | None:
        """A stored block; raises AlteredError."""

    def has_block(self, block_id: bytes) -> bool:
        """Whether `block` would give it."""

    def beside(self, height: int) -> Sequence[bytes]:
        """Ids of the stored blocks beside the chain from a height on, parents first."""

    def lacking(self) -> Iterable[tuple[bytes, bytes]]:
        """Stored blocks beside the chain, each with a payload that it names and is not stored."""

    def undo(self, block_id: bytes) -> Undo:
        """The undo record of a block of the chain; raises MissingDataError, AlteredError."""

    def payload(self, content_id: bytes) -> bytes | None:
        """A stored payload, as the disk gives it."""

    def has_payload(self, content_id: bytes) -> bool:
        """Whether `payload` would give it."""

    def parameters(self, root: bytes) -> bytes | None:
        """Parameters by content id, if they are still kept."""

    def add_block(self, block: Block, height: int) -> None:
        """Keep a block that is not (yet) part of the chain.

        It takes the place of one under this id that the disk has altered.
        """

    def add_payload(self, content_id: bytes, payload: bytes) -> None:
        """Keep a payload, in the place of one under this id that the disk has altered."""

    def drop_payload(self, content_id: bytes) -> None:
        """Forget a payload that is not what its name says."""

    def drop_block(self, block_id: bytes) -> None:
        """Forget a refused block and the payloads that no other stored block names."""

    def switch(self, change: Switch) -> None:
        """Move the head: all of it or, when power fails, nothing of it."""

    # What is not kept for ever

    def floor(self) -> int:
        """The height from which the chain's blocks are kept: all in it, and payloads above it."""

    def states(self) -> Sequence[int]:
        """Heights of the stored states of the chain, ascending."""

    def state(self, root: bytes) -> bytes | None:
        """A stored state by its root, as the disk gives it."""

    def state_at(self, height: int) -> bytes | None:
        """The stored state after the chain's block at a height, as the disk gives it."""

    def join(self, joined: Joined) -> None:
        """Go on from another place: all of it or nothing, as `switch`; it is the floor."""

    def raise_floor(self, height: int) -> None:
        """Keep blocks and states from this height on, that of a stored state."""

    def forget_states(self, below: int) -> None:
        """Keep states from this height on, and that of the floor."""

    def drop_below_floor(self, limit: int) -> bool:
        """Forget up to so many blocks below the floor; whether there were any."""

    def used_bytes(self) -> int:
        """What the store takes on the disk, without what it has free inside."""

    def faults(self) -> Iterator[str]:
        """Look at all that is stored, each by itself; says what is not as it was written."""
