from array import array

import numpy as np
from numpy.typing import NDArray

def sha256d_header(header: bytes, /) -> bytes:
    """SHA-256(SHA-256(header)), 32 bytes; the header has 80. Raises ValueError."""

def kernels() -> tuple[tuple[str, int, bool], ...]:
    """Name, lanes (nonces hashed side by side) and whether it runs here, of every kernel.

    Those for other processors are among them. The first is the portable one, which always runs.
    """

def search(
    header: bytes, target: bytes, first: int, count: int, kernel: str = "portable", /
) -> int | None:
    """The lowest of `count` nonces from `first` on that meets the target, or None.

    The header has 80 bytes, of which the last four are ignored; the target has 32 and is
    little-endian. All kernels give the same result. The interpreter lock is released while
    searching. Raises ValueError, also for a kernel that does not exist or run here.
    """

def header_ids(headers: bytes, /) -> bytes:
    """SHA-256(SHA-256(header)) of headers of 80 bytes, 32 bytes each. Raises ValueError."""

def total_work(headers: bytes, /) -> bytes:
    """The sum of ⌊2²⁵⁶ / (target + 1)⌋ over headers, 32 bytes little-endian.

    Raises ValueError: a target is not in compact form, or the sum exceeds 256 bits.
    """

def asert(anchor: bytes, limit: bytes, seconds: int, half_life: int, /) -> bytes:
    """The target anchor·2^(seconds / half_life), at least 1 and at most `limit`.

    Targets have 32 bytes, little-endian, and are above 0; |seconds| < 2⁴⁶. Raises ValueError.
    """

def check_run(
    rules: tuple[bytes, int, int, int, int, int],
    latest: int,
    parent: tuple[bytes, bytes | array[int], int, bool],
    headers: bytes,
    /,
) -> tuple[int, bytes]:
    """Check headers of which each is to build on the one before, the first on `parent`.

    `rules` are genesis' limit (32 bytes, little-endian), compact target of the first block,
    spacing, half_life, longest step and future bound; `latest` is the latest time allowed.
    `parent` is its id, the times of up to ten blocks before it and its own (32 bits each in native
    order, oldest first), its compact target, and whether it is genesis. Returns a number of
    `edgenode_violation` in header_run.h and the ids of the good headers. Raises ValueError.
    """

def add_weighted(
    sums: NDArray[np.int64], updates: tuple[tuple[NDArray[np.int32], int], ...], /
) -> None:
    """Add weight · numbers of up to 16 updates, each of shape (n,), to the sums, shape (n,).

    Modulo 2⁶⁴; the numbers may lie at any address. Four updates at once take two thirds of the
    time of four calls. Raises ValueError: lengths differ, a weight is not 0 to 2³¹ - 1, or there
    are too many; the sums are as before then.
    """

def move_by_mean(
    current: NDArray[np.int32], sums: NDArray[np.int64], weight: int, moved: NDArray[np.int32], /
) -> None:
    """Write current + sums / weight to `moved`, all of shape (n,).

    The quotient is rounded half to even, the result saturated to 32 bits. Raises ValueError: the
    lengths differ, or the weight is not 1 to 2³¹ - 1.
    """

def range_encode(numbers: NDArray[np.int32], steps: int, room: int, /) -> bytes | None:
    """Numbers of shape (n,) in at most `room` bytes, mostly small ones in few.

    `steps`, 1 to 5, is how many decisions tell the length of a magnitude, which has up to
    2^steps - 1 bits. None where a number is longer, or the bytes do not suffice. Raises ValueError.
    """

def range_decode(coded: bytes | memoryview, steps: int, numbers: NDArray[np.int32], /) -> bool:
    """Write the numbers, shape (n,), whose code this is; False where it is no code of so many.

    The numbers are undefined then. Raises ValueError.
    """
