"""What the header tree asks of its store: the trunk by height, every other header by id.

The *trunk* is the branch of headers with the most work, from genesis to its tip, whether its
blocks are here or not. A year of it is 350,400 headers, so it is read where it is needed and
never as a whole.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol


class Placed(NamedTuple):
    """A header of 80 bytes in its place: height above genesis, total work of its branch."""

    height: int
    work: int
    raw: bytes


class HeaderIndex(Protocol):
    """Headers that were checked, and where they stand.

    What was handed over is found at once; it reaches the disk with `keep`, or together with the
    next block. What a crash takes in between, the peers still have. Every method may raise
    AlteredError, and StoreFullError if it writes.
    """

    @property
    def height(self) -> int:
        """Height of the trunk's tip."""

    @property
    def unwritten(self) -> int:
        """Headers that were handed over and are not on the disk yet."""

    def begin(self, genesis: bytes) -> None:
        """Begin the trunk with the genesis header, or see that it begins so."""

    def at(self, height: int) -> Placed | None:
        """The trunk's header at a height, if it is that high."""

    def raw(self, height: int, count: int) -> bytes:
        """Up to `count` consecutive headers of the trunk from a height on, 80 bytes each."""

    def find(self, block_id: bytes) -> Placed | None:
        """A known header by id, on the trunk or beside it."""

    def extend(self, headers: bytes, ids: bytes) -> int:
        """Lengthen the trunk by checked headers (80 and 32 bytes each); its work then."""

    def cut(self, height: int) -> None:
        """Forget the trunk above a height."""

    def add_beside(self, block_id: bytes, placed: Placed) -> None:
        """Take up a checked header beside the trunk."""

    def drop_beside(self, block_ids: set[bytes]) -> None:
        """Forget headers beside the trunk."""

    def beside(self, above: int = -1) -> Iterator[tuple[bytes, Placed]]:
        """All headers beside the trunk with more work than `above`, with their ids."""

    def keep(self) -> None:
        """Write what is not on the disk yet."""
