"""How hard a share is: powers of two, so that every miner and the pool mean the same number.

Miners take a difficulty as a floating-point number and make a target of it in ways that differ in
the last places: pooler's minerd (2^16 - 1)·2^208 / d, cpuminer-opt 2^224 / d. For d = 2^n both are
exact. Integers only.
"""

from __future__ import annotations

from fractions import Fraction

EASIEST = -31
"""The easiest share: cpuminer-opt's 128-bit target has no room for an easier one."""

HARDEST = 192
"""Far above what anybody can hash; a target still has bits left."""

HASHES_LOG2 = 32
"""A share of difficulty 2^n takes 2^(32+n) hashes on average."""

_MINERD_UNIT = 0xFFFF << 208
_UNIT = 1 << 224


def share_target(exponent: int) -> int:
    """The highest hash, as a number, that is a share of difficulty 2^exponent.

    It is cpuminer-opt's target, the looser one: no miner is refused a share over a rounding.
    """
    return _UNIT >> exponent if exponent >= 0 else _UNIT << -exponent


def hashes_of(exponent: int) -> int:
    """Hashes that such a share takes on average: what a share counts."""
    return 1 << (HASHES_LOG2 + exponent)


def difficulty_number(exponent: int) -> int | float:
    """The number in mining.set_difficulty: exact, whether JSON reads it as a float or not."""
    return 1 << exponent if exponent >= 0 else 1.0 / (1 << -exponent)


def hardest_below(target: int) -> int:
    """The hardest difficulty at which no miner keeps back a hash that meets a block's target.

    Shares harder than blocks would lose blocks. Where not even the easiest share is as easy as a
    block, it is the easiest. The target is above 0 and below 2^256.
    """
    if target > _MINERD_UNIT:
        return max(EASIEST, -((target - 1) // _MINERD_UNIT).bit_length())
    return min(HARDEST, (_MINERD_UNIT // target).bit_length() - 1)


def exponent_of(hashes: int) -> int:
    """The difficulty whose shares take at most so many hashes (at least 1)."""
    return max(1, hashes).bit_length() - 1 - HASHES_LOG2


def target_of_number(number: float) -> int:
    """The target that a miner makes of any pool's difficulty, as minerd does.

    Raises:
        ValueError: The number is not above 0, or so small that everything would be a share.
    """
    if number <= 0:
        raise ValueError(f"a difficulty of {number} is not above 0")
    target = int(_MINERD_UNIT / Fraction(number))
    if target >> 256:
        raise ValueError(f"a difficulty of {number} asks for nothing")
    return max(1, target)
