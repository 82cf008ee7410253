"""The networks as a user of TensorFlow would write them, with TensorFlow's own gradients.

The peer of the training graphs in tests and benchmarks. Never converted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.architectures import Architecture


def split(architecture: Architecture, flat: tf.Tensor | NDArray[np.float32]) -> list[tf.Tensor]:
    """The arrays of a flat vector."""
    sizes = [parameter.size for parameter in architecture.parameters]
    return [
        tf.reshape(part, parameter.shape)
        for part, parameter in zip(tf.split(flat, sizes), architecture.parameters, strict=True)
    ]


def logits(name: str, arrays: Sequence[tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    """Logits of a batch: convolution, ReLU, then pooling, as the paper has it."""
    return _cifar10(arrays, x) if name == "cifar10" else _activity(arrays, x)


def _cifar10(arrays: Sequence[tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    for layer, pooled in enumerate((True, True, False)):
        filters, bias = arrays[2 * layer : 2 * layer + 2]
        x = tf.nn.relu(tf.nn.conv2d(x, filters, 1, "VALID") + bias)
        if pooled:
            x = tf.nn.max_pool2d(x, 2, 2, "VALID")
    x = tf.nn.relu(tf.reshape(x, [x.shape[0], -1]) @ arrays[6] + arrays[7])
    return x @ arrays[8] + arrays[9]


def _activity(arrays: Sequence[tf.Tensor], x: tf.Tensor) -> tf.Tensor:
    # The first filters as a strided convolution over single samples.
    _, taps, joined, depth = arrays[0].shape
    stride = joined // x.shape[2]
    first = tf.reshape(arrays[0], [stride * taps, x.shape[2], depth])
    for layer, (filters, step) in enumerate(
        ((first, stride), (arrays[2][0], 1), (arrays[4][0], 1))
    ):
        x = tf.nn.relu(tf.nn.conv1d(x, filters, step, "VALID") + arrays[2 * layer + 1])
        if layer < 2:
            x = tf.nn.max_pool1d(x, 2, 2, "VALID")
    return tf.reduce_mean(x, axis=1) @ arrays[6] + arrays[7]
