"""Which headers a thread tries, and in what order. No threads, no clock, no hashing.

The 32-bit nonce lasts a core for a minute to hours; then the extranonce, and with it the merkle
root, changes. An extranonce has eight bytes: four that a process draws at random, so that two
miners of one node never try the same header, and four that count; a pool gives its miners others.
Thread i of n counts i, i + n, i + 2n ..., so that two threads never do either.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgenode.ledger.template import Work

PREFIX_BYTES = 4
COUNTER_BYTES = 4
NONCES = 1 << 32

NEWEST_TIME = (1 << 32) - 1
"""The last second that a header can name."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A piece of the search: `count` nonces from `first` on.

    Attributes:
        header: The 80 bytes of the header; its nonce is 0.
        first: The first nonce to try.
        count: How many to try.
        extranonce: The extranonce behind the header's merkle root: prefix and counter.
        time: The header's time in Unix seconds.
    """

    header: bytes
    first: int
    count: int
    extranonce: bytes
    time: int


class SearchPlan:
    """Hands out one thread's slices of one piece of work, never a nonce twice."""

    def __init__(
        self,
        work: Work,
        prefix: bytes,
        thread: int,
        threads: int,
        *,
        counter_bytes: int = COUNTER_BYTES,
        nonces: int = NONCES,
    ) -> None:
        """Begin at the thread's first extranonce.

        Args:
            work: What to search.
            prefix: How each extranonce begins.
            thread: Number of this thread, from 0.
            threads: Number of threads that search this work.
            counter_bytes: Bytes of an extranonce that count, behind the prefix.
            nonces: Nonces of each extranonce; fewer than 2^32 only in tests.

        Raises:
            ValueError: There is no such thread.
        """
        if not 0 <= thread < threads:
            raise ValueError(f"there is no thread {thread} of {threads}")
        self._work = work
        self._prefix = prefix
        self._counter = thread
        self._counter_bytes = counter_bytes
        self._step = threads
        self._nonces = nonces
        self._next = 0

    def take(self, count: int, seconds: int) -> Slice:
        """The next nonces, at most `count` of them (at least 1).

        Args:
            count: Nonces to try.
            seconds: Whole seconds since the work was made. The header's time moves with them:
                the difficulty of the next block is computed from it.

        Raises:
            OverflowError: All extranonces were handed out.
        """
        if self._next == self._nonces:
            self._counter += self._step
            self._next = 0
        extranonce = self._prefix + self._counter.to_bytes(self._counter_bytes, "little")
        # A pool may name any 32 bits.
        time = min(self._work.time + seconds, NEWEST_TIME)
        first = self._next
        self._next = min(first + count, self._nonces)
        return Slice(
            header=self._work.header(extranonce, 0, time).encode(),
            first=first,
            count=self._next - first,
            extranonce=extranonce,
            time=time,
        )
