"""Payload coding of a client update: the parameter differences Δ as integers.

A payload is one byte that names the codec, then the codec's own bytes. `int32` has 4 bytes for each
difference. The others are small numbers, which one shift makes differences again, written by an
adaptive range coder (edgenode/native/range_coder.c): what it costs to say a number depends on how
usual it is. A payload of theirs codes exactly one pair of numbers and shift, and each pair has
exactly one coding. How a box comes to its numbers is in quantization.py.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from edgenode.learning.fixed_point import INT32_MAX, Fixed, saturated
from edgenode.learning.quantization import Exact, Quantized, largest, quantize
from edgenode.native import _kernels

SHIFT_OFFSET = 1
CODE_OFFSET = 2
SHIFT_LIMIT = 30
"""Of a difference of one step, the longest that 32 bits hold."""

CODE_BYTES_MIN = 4
"""What a range code has at least: that of no number."""


class Codec(IntEnum):
    """How the differences are written; genesis names one for each model."""

    INT32 = 1
    """Little-endian int32 for each parameter, in order."""

    EXACT = 2
    """The same differences by the range coder; -2^31 is said as -2^31 + 1."""

    INT8 = 3
    """Numbers of 8 bits, a quarter of the bytes."""

    INT4 = 4
    """Numbers of 4 bits, a sixteenth of the bytes."""

    TOP10 = 5
    """Numbers of 8 bits, of which one in ten may be other than 0."""

    TOP5 = 6
    """Numbers of 8 bits, of which one in twenty may be other than 0."""

    TOP1 = 7
    """Numbers of 8 bits, of which one in a hundred may be other than 0."""

    @property
    def is_lossy(self) -> bool:
        """Whether a difference may come out as another than went in."""
        return self not in {Codec.INT32, Codec.EXACT}


@dataclass(frozen=True, slots=True)
class _Form:
    """What a codec's numbers are: `bits` each, at most one in `sparsity` of them other than 0.

    `eighths` of a byte for each parameter, and 16 bytes, are the longest payload, so that a ward's
    traffic is bounded whatever a member sends.
    """

    bits: int
    eighths: int
    sparsity: int = 1

    @property
    def steps(self) -> int:
        """Decisions that the range coder takes for the length of a number."""
        return self.bits.bit_length() - 1

    def kept(self, count: int) -> int:
        """How many of `count` numbers may be other than 0."""
        return -(-count // self.sparsity)


_FORMS = {
    Codec.EXACT: _Form(bits=32, eighths=32),
    Codec.INT8: _Form(bits=8, eighths=8),
    Codec.INT4: _Form(bits=4, eighths=2),
    Codec.TOP10: _Form(bits=8, eighths=2, sparsity=10),
    Codec.TOP5: _Form(bits=8, eighths=2, sparsity=20),
    Codec.TOP1: _Form(bits=8, eighths=1, sparsity=100),
}

LENGTH_RESERVE = 16
"""Bytes of a payload beside those for its parameters: few of them fill no code."""


class CodingError(ValueError):
    """A payload is not the canonical coding of any update of this model."""


def difference(new: Fixed, base: Fixed) -> Fixed:
    """Δ = new − base, shape (n,), saturated to 32 bits."""
    return saturated(new.astype(np.int64) - base)


@dataclass(frozen=True, slots=True)
class Lengths:
    """The lengths in bytes that payloads may have, from `least` to `most`."""

    least: int
    most: int

    def __contains__(self, length: int) -> bool:
        return self.least <= length <= self.most

    def __str__(self) -> str:
        return f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"


def payload_lengths(count: int, codec: Codec) -> Lengths:
    """What a payload of a model with `count` parameters may have."""
    if codec is Codec.INT32:
        return Lengths(1 + 4 * count, 1 + 4 * count)
    most = LENGTH_RESERVE + -(-count * _FORMS[codec].eighths // 8)
    return Lengths(CODE_OFFSET + CODE_BYTES_MIN, most)


def encode(delta: Fixed | Exact, codec: Codec) -> bytes:
    """Code differences, shape (n,), as exactly as the codec's numbers and bytes allow.

    Raises:
        CodingError: an exact codec would need more bytes than it allows; what training makes does
            not.
    """
    if codec is Codec.INT32:
        return bytes([codec]) + saturated(delta).astype("<i4", copy=False).tobytes()
    form = _FORMS[codec]
    wanted = largest(delta.astype(np.int64), form.kept(len(delta)))
    if not codec.is_lossy:
        wanted = wanted.clip(-INT32_MAX, INT32_MAX)
    furthest = int(np.abs(wanted).max(initial=0))
    # The least that cuts nothing off but by rounding.
    least = min(SHIFT_LIMIT, max(0, furthest.bit_length() - (form.bits - 1)))
    for shift in range(least, SHIFT_LIMIT + 1 if codec.is_lossy else least + 1):
        coarse = quantize(wanted, shift, form.bits)
        if (payload := _packed(coarse, codec)) is not None:
            break
    else:
        raise CodingError(_too_long(len(delta), codec))
    # To cut a few off is worth it where all others come nearer; bytes permitting.
    distance = coarse.distance(wanted)
    for finer_shift in reversed(range(coarse.shift)):
        finer = quantize(wanted, finer_shift, form.bits)
        if (nearer := finer.distance(wanted)) >= distance:
            break
        if (longer := _packed(finer, codec)) is None:
            break
        payload, distance = longer, nearer
    return payload


def pack(quantized: Quantized, codec: Codec) -> bytes:
    """The payload of a codec other than `int32`; raises CodingError where it would be too long."""
    payload = _packed(quantized, codec)
    if payload is None:
        raise CodingError(_too_long(len(quantized.numbers), codec))
    return payload


def _packed(quantized: Quantized, codec: Codec) -> bytes | None:
    numbers = np.ascontiguousarray(quantized.numbers, np.int32)
    room = payload_lengths(len(numbers), codec).most - CODE_OFFSET
    code = _kernels.range_encode(numbers, _FORMS[codec].steps, room)
    return None if code is None else bytes([codec, quantized.shift]) + code


def _too_long(count: int, codec: Codec) -> str:
    return f"no payload of {codec.name} with {payload_lengths(count, codec)} bytes says this"


def decode(payload: bytes, count: int, codec: Codec) -> Fixed:
    """The differences, shape (count,), that a payload codes; of `int32` in its memory, read-only.

    Raises:
        CodingError: the payload names another codec, has a wrong length, or codes no differences.
    """
    if codec is not Codec.INT32:
        quantized = unpack(payload, count, codec)
        return quantized.numbers << quantized.shift
    _check(payload, count, codec)
    return np.frombuffer(payload, dtype="<i4", offset=1).astype(np.int32, copy=False)


def unpack(payload: bytes, count: int, codec: Codec) -> Quantized:
    """The numbers, shape (count,), and shift of a codec other than `int32`; raises as `decode`."""
    _check(payload, count, codec)
    form = _FORMS[codec]
    shift = payload[SHIFT_OFFSET]
    if shift > SHIFT_LIMIT:
        raise CodingError(f"shift of {shift}, above {SHIFT_LIMIT}")
    numbers = np.empty(count, np.int32)
    if not _kernels.range_decode(memoryview(payload)[CODE_OFFSET:], form.steps, numbers):
        raise CodingError(f"the bytes are no code of {count} numbers")
    if int(np.abs(numbers).max(initial=0)) << shift > INT32_MAX:
        raise CodingError(f"a number that with shift {shift} leaves 32 bits")
    others = np.count_nonzero(numbers) if form.sparsity > 1 else 0
    if others > form.kept(count):
        raise CodingError(f"{others} numbers other than 0, of {count}; {codec.name} has fewer")
    return Quantized(numbers, shift)


def _check(payload: bytes, count: int, codec: Codec) -> None:
    lengths = payload_lengths(count, codec)
    if len(payload) not in lengths:
        raise CodingError(f"payload of {len(payload)} bytes, not {lengths}")
    if payload[0] != codec:
        raise CodingError(f"payload names codec {payload[0]}, not {int(codec)} ({codec.name})")
