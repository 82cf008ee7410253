"""The target's compact form, Θ·2^(8(Φ−4)) (paper, equation 3), and the work it stands for.

The compact form is 32 bits: Φ in the top byte, Θ in the other three. Each value has one
encoding: the smallest Φ ≥ 4 whose Θ fits 24 bits.
"""

MAX_EXPONENT = 32 + 4 - 3
"""The largest Φ whose target can lie below 2^256 with Θ in canonical form."""


class TargetError(ValueError):
    """A compact target is not canonical, is zero, or exceeds 256 bits."""


def expand(compact: int) -> int:
    """The target as a number.

    Raises:
        TargetError: see the class.
    """
    phi, theta = compact >> 24, compact & 0xFFFFFF
    if phi < 4 or phi > MAX_EXPONENT:
        raise TargetError(f"target 0x{compact:08x}: exponent {phi} is outside 4 to {MAX_EXPONENT}")
    if theta == 0:
        raise TargetError(f"target 0x{compact:08x} is zero")
    if phi > 4 and theta < 1 << 16:
        raise TargetError(f"target 0x{compact:08x} has a shorter form")
    return theta << 8 * (phi - 4)


def compress(target: int) -> int:
    """The compact form of the largest representable target that is at most `target`.

    Raises:
        TargetError: the target is not between 1 and 2^256 − 1.
    """
    if not 0 < target < 1 << 256:
        raise TargetError("a target lies between 1 and 2^256 - 1")
    excess_bytes = max(0, (target.bit_length() - 24 + 7) // 8)
    return (4 + excess_bytes) << 24 | target >> 8 * excess_bytes


def work(target: int) -> int:
    """The number of hashes that a block of this target takes on average (Bitcoin's measure)."""
    return (1 << 256) // (target + 1)


def meets(block_id: bytes, target: int) -> bool:
    """Whether a block id, read as a little-endian 256-bit number, is at most the target."""
    return int.from_bytes(block_id, "little") <= target
