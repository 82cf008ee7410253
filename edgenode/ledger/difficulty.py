"""Difficulty by ASERT (aserti3-2d) in integers.

aserti3-2d derives every target from one anchor at the start of the chain. Here each block is
the anchor of the next one. While the target stays below its limit the steps telescope and give
the same targets; what the limit cuts off, or a long pause has more than two half-lives
(`Genesis.longest_step`), is forgotten. A ward that was switched off for a month therefore has some
forty quick blocks (docs/difficulty.md), where a fixed anchor would call for a month of them.
"""

_POLYNOMIAL = (195_766_423_245_049, 971_821_376, 5_127)


def asert(anchor_target: int, limit: int, exponent_seconds: int, half_life: int) -> int:
    """The target anchor·2^(seconds / half_life), at least 1 and at most `limit`.

    Args:
        anchor_target: target of the anchor block.
        limit: easiest target, from genesis.
        exponent_seconds: how far the chain is behind its schedule since the anchor, in seconds;
            negative when it is ahead.
        half_life: seconds behind schedule that double the target.

    Source: Bitcoin Cash specification 2020-11-15-asert, with its cubic approximation of 2^x.
    """
    exponent = (
        (exponent_seconds << 16) // half_life
        if exponent_seconds >= 0
        else -((-exponent_seconds << 16) // half_life)
    )
    shifts, fraction = exponent >> 16, exponent & 0xFFFF
    a, b, c = _POLYNOMIAL
    factor = 65536 + ((a * fraction + b * fraction**2 + c * fraction**3 + (1 << 47)) >> 48)
    # Beyond 256 bits either way the limit or 1 decides; a bound keeps the number small.
    shifts = max(-512, min(512, shifts))
    scaled = anchor_target * factor
    target = scaled << shifts >> 16 if shifts >= 0 else scaled >> -shifts >> 16
    return max(1, min(limit, target))


def next_target(
    target: int, limit: int, seconds_since_parent: int, spacing: int, half_life: int
) -> int:
    """The target of the block after one with this target and distance from its own parent."""
    return asert(target, limit, seconds_since_parent - spacing, half_life)
