"""Variations of a window that could have been recorded: other arm, other wrist, other pace.

With two people's watches a model learns how those two wear and move them. Each time a window is
trained on, it is mirrored with even odds, as if the other arm did the exercise; turned by a small
random rotation, as if the watch sat differently on the wrist; and stretched in time, as if the
exercise were done faster or slower. What this gives on people whom no box has seen is in
docs/training.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgenode.tasks.stream import CHANNELS

# Standard deviation of the rotation about each axis, in radians: 20 degrees.
ROTATION = 0.349
# The pace varies evenly (in its logarithm) between 1/1.5 and 1.5 of what was recorded:
# the people of the recordings differ by a factor of nearly two.
PACE = 0.4
# Standard deviation of the logarithm by which the angular rate varies besides: wider movements.
REACH = 0.1

# The plane between left and right is that of the watch's y and z axes: in the recordings the mean
# acceleration along x of one arm is that of the other with the sign changed, along y and z it is
# the same. A mirror turns vectors (acceleration) over in the axis across it, and axial vectors
# (angular rate) in the two axes along it.
_MIRRORED = np.array([-1, 1, 1, 1, -1, -1], np.float32)

Batch = NDArray[np.float32]


def vary(x: Batch, random: np.random.Generator) -> Batch:
    """Vary windows (n, samples, 6): normalised acceleration, then angular rate."""
    return rotate(change_pace(mirror(x, random), random), random)


def mirror(x: Batch, random: np.random.Generator) -> Batch:
    """Give about half of the windows to the other arm."""
    chosen = random.random(len(x)) < 0.5
    mirrored: Batch = x * np.where(chosen[:, None, None], _MIRRORED, np.float32(1))
    return mirrored


def rotations(count: int, random: np.random.Generator) -> Batch:
    """Random rotation matrices (n, 3, 3), each from a quaternion close to 1."""
    half_angles = random.normal(0, ROTATION / 2, (count, 3))
    quaternions = np.concatenate([np.ones((count, 1)), half_angles], axis=1)
    quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
    w, x, y, z = quaternions.T
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.array(rows, np.float32).transpose(2, 0, 1)


def rotate(x: Batch, random: np.random.Generator) -> Batch:
    """Turn each window's sensor: both triples of axes by the same rotation."""
    count, samples, _ = x.shape
    triples = x.reshape(count, samples * CHANNELS // 3, 3)
    turned: Batch = (triples @ rotations(count, random)).reshape(x.shape)
    return turned


def change_pace(x: Batch, random: np.random.Generator) -> Batch:
    """Stretch or squeeze each window about its middle; what is missing at the ends is mirrored.

    A movement that is done faster by some factor turns faster by that factor; one that reaches
    further does so too.
    """
    count, samples, _ = x.shape
    factor = np.exp(random.uniform(-PACE, PACE, (count, 1))).astype(np.float32)
    middle = np.float32((samples - 1) / 2)
    at = np.abs((np.arange(samples, dtype=np.float32) - middle) * factor + middle)
    last = samples - 1
    at = np.where(at > last, 2 * last - at, at)
    before = np.minimum(at.astype(np.intp), last - 1)
    share = (at - before)[..., None].astype(np.float32)
    window = np.arange(count)[:, None]
    stretched: Batch = x[window, before] * (1 - share) + x[window, before + 1] * share
    reach = np.exp(random.normal(0, REACH, (count, 1))).astype(np.float32)
    stretched[..., 3:] *= (factor * reach)[..., None]
    return stretched
