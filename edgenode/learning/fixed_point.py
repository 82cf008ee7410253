"""Parameters as 32-bit fixed-point integers, the only form that consensus sees.

A parameter v is stored as the integer V = round(v * 2**scale_bits). The scale is a power of
two, so an integer of at most 24 significant bits turns into float32 and back unchanged.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Fixed = NDArray[np.int32]

INT32_MIN = -(2**31)
INT32_MAX = 2**31 - 1


def to_fixed(values: NDArray[np.floating[Any]], scale_bits: int) -> Fixed:
    """Round floats, shape (n,), to fixed point; what does not fit 32 bits saturates.

    Raises:
        ValueError: a value is not a number or is infinite; the message gives its index.
    """
    scaled = np.rint(np.ldexp(values.astype(np.float64), scale_bits))
    finite = np.isfinite(scaled)
    if not finite.all():
        index = int(np.argmin(finite))
        raise ValueError(f"parameter {index} is {values[index]}; training has diverged")
    return saturated(scaled)


def saturated(values: NDArray[Any]) -> Fixed:
    """Integral values, shape (n,), clipped to what 32 bits hold."""
    clipped: Fixed = values.clip(INT32_MIN, INT32_MAX).astype(np.int32)
    return clipped


def to_float(values: Fixed, scale_bits: int) -> NDArray[np.float32]:
    """Fixed point, shape (n,), as the nearest float32."""
    return np.ldexp(values.astype(np.float64), -scale_bits).astype(np.float32)


def to_bytes(values: Fixed) -> bytes:
    """The canonical bytes of a parameter vector: little-endian int32, in order."""
    return values.astype("<i4", copy=False).tobytes()


def from_bytes(data: bytes, count: int) -> Fixed:
    """Inverse of `to_bytes` for a vector of `count` parameters.

    Raises:
        ValueError: the length is not 4 * count bytes.
    """
    if len(data) != 4 * count:
        raise ValueError(f"{count} parameters take {4 * count} bytes, not {len(data)}")
    return np.frombuffer(data, dtype="<i4").astype(np.int32)
