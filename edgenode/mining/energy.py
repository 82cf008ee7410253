"""What mining costs, estimated from the time that it takes of a processor. No I/O."""

from __future__ import annotations

DEFAULT_WATTS = 0.9
"""What a Raspberry Pi 4 draws more for each core that is busy: 2.7 W idle, 6.4 W with all four busy
(published measurements of the board; none was made here). An estimate, and of no other board."""


def spent(watts: float, thread_seconds: float, blocks: int) -> dict[str, float]:
    """The estimated energy, as values of a report.

    Args:
        watts: What one hashing thread draws; 0 if that is not known.
        thread_seconds: Processor time of all searching threads.
        blocks: Blocks that came of it.
    """
    if watts == 0:
        return {}
    joules = watts * thread_seconds
    return {"joules_total": joules} | ({"joules_per_block": joules / blocks} if blocks else {})
