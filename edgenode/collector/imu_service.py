"""The IMU service: our vendor GATT service for raw motion samples, as bytes and as values.

docs/sensors.md shows the same layouts byte by byte. All numbers are little-endian, as in every
GATT characteristic (Core specification 5.4, Vol 3, Part G, section 2.4).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgenode.tasks.stream import CHANNELS, EXERCISES, NO_EXERCISE

# One random (version 4) UUID with its third and fourth bytes counted up, as vendors do it.
SERVICE = "1b02f000-54b1-4385-9496-2bdf306e2ed1"
SAMPLES = "1b02f001-54b1-4385-9496-2bdf306e2ed1"
ANNOTATION = "1b02f002-54b1-4385-9496-2bdf306e2ed1"
DESCRIPTION = "1b02f003-54b1-4385-9496-2bdf306e2ed1"

# Sample indices are counted modulo 2**32 on the wire.
INDEX_MODULUS = 1 << 32

# No attribute value is longer (Core specification 5.4, Vol 3, Part F, section 3.2.9).
MAX_VALUE_BYTES = 512
_SAMPLES_HEADER = struct.Struct("<IB")
_BYTES_PER_SAMPLE = 2 * CHANNELS
# What an attribute value of 512 bytes can hold.
MAX_SAMPLES = (MAX_VALUE_BYTES - _SAMPLES_HEADER.size) // _BYTES_PER_SAMPLE
# The part of an ATT notification that is not the value: opcode and handle.
_NOTIFICATION_OVERHEAD = 3

_ANNOTATION = struct.Struct("<IB")
_DESCRIPTION = struct.Struct("<BBIHH")
DESCRIPTION_VERSION = 1
# From one sample a second to well above any inertial sensor; keeps rates away from 0 and overflow.
_MILLIHERTZ = range(1_000, 10_000_001)


class MalformedValueError(ValueError):
    """A characteristic's value breaks the layout of docs/sensors.md; the text says where."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """The value of one *samples* notification.

    Attributes:
        first: Index of the first sample, 0..2**32 - 1; the sensor counts on from 2**32 - 1 to 0.
        values: int16 array of shape (k, 6), 1 <= k <= `MAX_SAMPLES`, in the counts of the sensor.
    """

    first: int
    values: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class AnnotationMark:
    """The value of one *annotation* notification: from sample `first` on, `code` is being done.

    Attributes:
        first: Index of the first sample that is covered, 0..2**32 - 1.
        code: 0 for no exercise, 1..7 for an exercise.
    """

    first: int
    code: int


@dataclass(frozen=True, slots=True)
class Description:
    """The value of the *description* characteristic.

    Attributes:
        rate_millihertz: Samples in 1000 seconds; 50 Hz is 50000.
        counts_per_g: Counts of the acceleration axes that make one standard gravity.
        counts_per_radian_per_second: Counts of the angular rate axes that make 1 rad/s.
    """

    rate_millihertz: int
    counts_per_g: int
    counts_per_radian_per_second: int


def samples_per_notification(att_mtu: int) -> int:
    """The most samples that one notification carries on a connection with this ATT_MTU.

    Raises:
        ValueError: Not even one sample fits (the default ATT_MTU of 23 carries one).
    """
    room = min(att_mtu - _NOTIFICATION_OVERHEAD, MAX_VALUE_BYTES) - _SAMPLES_HEADER.size
    if room < _BYTES_PER_SAMPLE:
        raise ValueError(f"an ATT_MTU of {att_mtu} does not carry one sample")
    return room // _BYTES_PER_SAMPLE


def encode_samples(samples: Samples) -> bytes:
    """Encode a *samples* value.

    Raises:
        ValueError: `first` or the shape of `values` is out of the bounds of `Samples`.
    """
    values = samples.values
    if not 0 <= samples.first < INDEX_MODULUS:
        raise ValueError(f"index {samples.first} does not fit 32 bits")
    if values.dtype != np.int16 or values.ndim != 2 or values.shape[1] != CHANNELS:
        raise ValueError(f"values must be int16 of shape (k, {CHANNELS}), not {values.shape}")
    if not 1 <= len(values) <= MAX_SAMPLES:
        raise ValueError(f"{len(values)} samples are not in 1..{MAX_SAMPLES}")
    return _SAMPLES_HEADER.pack(samples.first, len(values)) + values.astype("<i2").tobytes()


def decode_samples(value: bytes) -> Samples:
    """Decode a *samples* value.

    Raises:
        MalformedValueError: The length does not match the count, or the count is 0 or too large.
    """
    if len(value) < _SAMPLES_HEADER.size:
        raise MalformedValueError(f"samples: {len(value)} bytes are shorter than the header")
    first, count = _SAMPLES_HEADER.unpack_from(value)
    if not 1 <= count <= MAX_SAMPLES:
        raise MalformedValueError(f"samples: a count of {count} is not in 1..{MAX_SAMPLES}")
    expected = _SAMPLES_HEADER.size + count * _BYTES_PER_SAMPLE
    if len(value) != expected:
        raise MalformedValueError(
            f"samples: {len(value)} bytes, but a count of {count} needs {expected}"
        )
    counts = np.frombuffer(value, "<i2", offset=_SAMPLES_HEADER.size)
    return Samples(first, counts.astype(np.int16).reshape(count, CHANNELS))


def encode_annotation(mark: AnnotationMark) -> bytes:
    """Encode an *annotation* value.

    Raises:
        ValueError: A field is out of the bounds of `AnnotationMark`.
    """
    if not 0 <= mark.first < INDEX_MODULUS or not NO_EXERCISE <= mark.code <= EXERCISES:
        raise ValueError(f"{mark} is out of bounds")
    return _ANNOTATION.pack(mark.first, mark.code)


def decode_annotation(value: bytes) -> AnnotationMark:
    """Decode an *annotation* value.

    Raises:
        MalformedValueError: The length is not 5, or the code is not in 0..7.
    """
    if len(value) != _ANNOTATION.size:
        raise MalformedValueError(f"annotation: {len(value)} bytes instead of {_ANNOTATION.size}")
    first, code = _ANNOTATION.unpack(value)
    if not NO_EXERCISE <= code <= EXERCISES:
        raise MalformedValueError(f"annotation: code {code} is not in 0..{EXERCISES}")
    return AnnotationMark(first, code)


def encode_description(description: Description) -> bytes:
    """Encode a *description* value of version 1.

    Raises:
        ValueError: A field is out of bounds.
    """
    try:
        value = _DESCRIPTION.pack(
            DESCRIPTION_VERSION,
            CHANNELS,
            description.rate_millihertz,
            description.counts_per_g,
            description.counts_per_radian_per_second,
        )
    except struct.error as error:
        raise ValueError(f"{description} is out of bounds: {error}") from error
    decode_description(value)
    return value


def decode_description(value: bytes) -> Description:
    """Decode a *description* value.

    Raises:
        MalformedValueError: The version is not 1, the length is not 10, there are not six axes, or
            the rate or a scale is out of bounds.
    """
    if not value or value[0] != DESCRIPTION_VERSION:
        raise MalformedValueError(
            f"description: version {value[0] if value else 'missing'} is not {DESCRIPTION_VERSION}"
        )
    if len(value) != _DESCRIPTION.size:
        raise MalformedValueError(f"description: {len(value)} bytes instead of {_DESCRIPTION.size}")
    _, axes, rate, per_g, per_radian = _DESCRIPTION.unpack(value)
    if axes != CHANNELS:
        raise MalformedValueError(f"description: {axes} axes instead of {CHANNELS}")
    if rate not in _MILLIHERTZ:
        raise MalformedValueError(f"description: a rate of {rate} mHz is not in 1 Hz..10 kHz")
    if not per_g or not per_radian:
        raise MalformedValueError("description: a scale of 0 counts")
    return Description(rate, per_g, per_radian)
