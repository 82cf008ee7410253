"""The parameters with which a chain begins: He-uniform, by integers only, the same everywhere.

A parameter on the chain is an int32; its value is integer · 2⁻²⁴. `parameters.bin` holds them
little-endian, in the order of the flat vector.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from models.architectures import Architecture

FRACTION_BITS = 24


def genesis_parameters(architecture: Architecture) -> bytes:
    """Draw the parameters from SHAKE-256 of the model's name and the array's name.

    Weights are uniform in ±sqrt(6 / fan_in) (He et al. 2015, for layers with ReLU); biases are 0.
    No float takes part, so that the bytes do not depend on a machine or a version of numpy.
    """
    parts = []
    for parameter in architecture.parameters:
        if not parameter.fan_in:
            parts.append(np.zeros(parameter.size, "<i4"))
            continue
        bound = math.isqrt((6 << 2 * FRACTION_BITS) // parameter.fan_in)
        seed = f"edgenode genesis {architecture.name} {parameter.name}".encode()
        stream = hashlib.shake_256(seed).digest(4 * parameter.size)
        # bound < 2**26, so that the product stays within 64 bits.
        drawn = np.frombuffer(stream, "<u4").astype(np.uint64)
        scaled = (drawn * np.uint64(2 * bound + 1)) >> np.uint64(32)
        parts.append((scaled.astype(np.int64) - bound).astype("<i4"))
    return np.concatenate(parts).tobytes()
