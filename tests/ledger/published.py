"""The files of published numbers in tests/ledger/data."""

from pathlib import Path

DATA = Path(__file__).parent / "data"


def rows(name):
    """The fields of each line that is no comment."""
    lines = (DATA / name).read_text().splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]


def bitcoin_target(compact):
    """Bitcoin's reading of its compact form (`nBits`), of numbers that are not negative."""
    mantissa, size = compact & 0x7FFFFF, compact >> 24
    return mantissa << 8 * (size - 3) if size >= 3 else mantissa >> 8 * (3 - size)


def bitcoin_compact(target):
    """Bitcoin's compact form: three bytes of which the highest bit is the sign, and stays clear."""
    size = (target.bit_length() + 7) // 8
    mantissa = target << 8 * (3 - size) if size <= 3 else target >> 8 * (size - 3)
    if mantissa & 0x800000:
        mantissa, size = mantissa >> 8, size + 1
    return size << 24 | mantissa


def in_our_form(compact):
    """Our compact form of Bitcoin's canonical one, by its bytes alone.

    The exponent counts from four bytes where Bitcoin's counts from three; where Bitcoin has an
    empty byte, so that the sign bit stays clear, we have one byte more of the number.
    """
    mantissa, size = compact & 0xFFFFFF, compact >> 24
    if mantissa < 1 << 16:
        mantissa, size = mantissa << 8, size - 1
    return size + 1 << 24 | mantissa
