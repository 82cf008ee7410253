"""Payload coding of a client update: the parameter differences Δ, exactly as integers.

A payload is one byte that names the codec, then the codec's own bytes. A codec decodes to
exactly one vector, and each vector has exactly one coding, so a payload cannot be altered
without altering what it means.
"""

from enum import IntEnum

import numpy as np

from edgenode.learning.fixed_point import Fixed, saturated


class Codec(IntEnum):
    """How the differences are written; genesis names one for each model."""

    INT32 = 1
    """Little-endian int32 for each parameter, in order."""


class CodingError(ValueError):
    """A payload is not the canonical coding of any update of this model."""


def difference(new: Fixed, base: Fixed) -> Fixed:
    """Δ = new − base, shape (n,), saturated to 32 bits."""
    return saturated(new.astype(np.int64) - base)


def encoded_length(count: int, codec: Codec) -> int:
    """The length in bytes of every payload of a model with `count` parameters."""
    match codec:
        case Codec.INT32:
            return 1 + 4 * count


def encode(delta: Fixed, codec: Codec) -> bytes:
    """Code the differences, shape (n,)."""
    match codec:
        case Codec.INT32:
            return bytes([codec]) + delta.astype("<i4", copy=False).tobytes()


def decode(payload: bytes, count: int, codec: Codec) -> Fixed:
    """The differences, shape (count,), that a payload codes; read-only, in the payload's memory.

    Raises:
        CodingError: the payload names another codec or has another length.
    """
    expected = encoded_length(count, codec)
    if len(payload) != expected:
        raise CodingError(f"payload of {len(payload)} bytes, not {expected}")
    if payload[0] != codec:
        raise CodingError(f"payload names codec {payload[0]}, not {int(codec)} ({codec.name})")
    return np.frombuffer(payload, dtype="<i4", offset=1).astype(np.int32, copy=False)
