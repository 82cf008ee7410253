"""Layers whose gradients lower to TensorFlow Lite's builtin operators.

TensorFlow's own gradients of relu, pooling and convolution filters need operators that TFLite
does not have. Each layer here states its gradient by operators that it does have. Activations are
NHWC (a time series has height 1); shapes are static, the batch included.

A convolution can be written in two forms that give the same numbers up to rounding; which is
faster depends on the runtime's kernels:

* `conv`: CONV_2D forward; the filter's gradient is a CONV_2D of transposed activations, the
  input's a TRANSPOSE_CONV.
* `matmul`: the patches are laid out as rows of a matrix (im2col), and all three are products.

`tf.reverse` must not be used: reversing two axes gave wrong results in tflite-runtime 2.14.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import tensorflow as tf

Form = Literal["conv", "matmul"]
Gradient = Callable[[tf.Tensor], tuple[tf.Tensor, ...] | tf.Tensor]


@tf.custom_gradient
def relu(x: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
    """max(x, 0); the gradient at 0 is 0, as in TensorFlow."""
    y = tf.nn.relu(x)
    # SIGN of the output is the mask: far cheaper in tflite-runtime 2.14 than compare and cast.
    return y, lambda upstream: upstream * tf.sign(y)


@tf.custom_gradient
def _larger(first: tf.Tensor, second: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
    """Elementwise maximum whose gradient goes to `second` only where it is strictly larger."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        to_second = upstream * tf.nn.relu(tf.sign(second - first))
        return upstream - to_second, to_second

    return tf.maximum(first, second), gradient


def _halves(x: tf.Tensor, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Split an axis of even length into its even and its odd positions."""
    shape = x.shape.as_list()
    pairs = [*shape[:axis], shape[axis] // 2, 2, *shape[axis + 1 :]]
    half = [*shape[:axis], shape[axis] // 2, *shape[axis + 1 :]]
    even, odd = tf.split(tf.reshape(x, pairs), 2, axis=axis + 1)
    return tf.reshape(even, half), tf.reshape(odd, half)


def max_pool(x: tf.Tensor, *, rows: bool) -> tf.Tensor:
    """Maximum over pairs of columns and, where `rows`, of rows; an odd last one is dropped.

    Among equal elements the first in reading order alone gets the gradient, as in TensorFlow:
    the columns of each row compete first, then the rows' winners.
    """
    batch, height, width, channels = x.shape.as_list()
    kept = [batch, height - height % 2 if rows else height, width - width % 2, channels]
    if kept != [batch, height, width, channels]:
        x = tf.slice(x, [0, 0, 0, 0], kept)
    x = _larger(*_halves(x, 2))
    return _larger(*_halves(x, 1)) if rows else x


def convolution(x: tf.Tensor, filters: tf.Tensor, form: Form) -> tf.Tensor:
    """Valid convolution, stride 1: x [N, H, W, C] by filters [R, S, C, D]."""
    if form == "matmul":
        return _convolution_as_matmul(x, filters)
    return _convolution(x, filters)


@tf.custom_gradient
def _convolution(x: tf.Tensor, filters: tf.Tensor) -> tuple[tf.Tensor, Gradient]:
    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        to_x = tf.nn.conv2d_transpose(upstream, filters, x.shape, strides=1, padding="VALID")
        # Sum over n, h, w of x[n, h+r, w+s, c] · upstream[n, h, w, d]: a convolution in which
        # the channels of x are the batch and its batch are the channels.
        to_filters = tf.nn.conv2d(
            tf.transpose(x, [3, 1, 2, 0]),
            tf.transpose(upstream, [1, 2, 0, 3]),
            strides=1,
            padding="VALID",
        )
        return to_x, tf.transpose(to_filters, [1, 2, 0, 3])

    return tf.nn.conv2d(x, filters, strides=1, padding="VALID"), gradient


def _patches(x: tf.Tensor, rows: int, columns: int) -> tf.Tensor:
    """im2col: [N·H'·W', R·S·C]. Its gradient by TensorFlow is a sum of paddings, all builtin."""
    batch, height, width, channels = x.shape.as_list()
    out = [batch, height - rows + 1, width - columns + 1, channels]
    shifted = [tf.slice(x, [0, r, s, 0], out) for r in range(rows) for s in range(columns)]
    return tf.reshape(
        tf.concat(shifted, axis=3), [out[0] * out[1] * out[2], rows * columns * channels]
    )


def _convolution_as_matmul(x: tf.Tensor, filters: tf.Tensor) -> tf.Tensor:
    batch, height, width, channels = x.shape.as_list()
    rows, columns, _, depth = filters.shape.as_list()
    matrix = tf.reshape(filters, [rows * columns * channels, depth])
    y = tf.matmul(_patches(x, rows, columns), matrix)
    return tf.reshape(y, [batch, height - rows + 1, width - columns + 1, depth])


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Sum of weighted cross-entropies, divided by the sum of weights or 1, whichever is larger.

    Args:
        logits: float32 [N, K].
        labels: int32 [N], in 0..K-1.
        weights: float32 [N], not negative; 0 leaves a place of the batch out.
    """
    of_label = tf.reduce_sum(
        tf.nn.log_softmax(logits) * tf.one_hot(labels, logits.shape[1]), axis=1
    )
    return -tf.reduce_sum(weights * of_label) / tf.maximum(tf.reduce_sum(weights), 1.0)
