"""What a miner is configured with."""

from __future__ import annotations

from dataclasses import dataclass

# Proof of work is the ward's lottery and pace-maker, and the difficulty follows what the boxes
# spend: hashing more gains the ward nothing. A fifth of one core keeps a bedside box cool and
# leaves the rest to what it is there for.
DEFAULT_THREADS = 1
DEFAULT_SHARE = 0.2
_THREADS = (1, 64)  # more cores than any box has
# A slice of some 30 ms in three seconds; who wants less does not start the miner.
MIN_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class MinerSettings:
    """The settings of one miner.

    Attributes:
        threads: Threads that hash.
        share: Fraction of each thread's time that it spends hashing, above 0, at most 1.
    """

    threads: int = DEFAULT_THREADS
    share: float = DEFAULT_SHARE

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: One of them is unusable; the text begins with its name.
        """
        low, high = _THREADS
        if not low <= self.threads <= high:
            raise ValueError(f"threads: {self.threads} is not in {low}..{high}")
        if not MIN_SHARE <= self.share <= 1:
            raise ValueError(f"share: {self.share} is not in {MIN_SHARE}..1")
