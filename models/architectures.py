"""The networks: their parameters, in the order of the flat vector, and what they compute."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import tensorflow as tf

from models.layers import Form, convolution, max_pool, relu


@dataclass(frozen=True, slots=True)
class Parameter:
    """One array in the flat parameter vector.

    Attributes:
        name: Layer and array.
        shape: Its shape; the last axis is the layer's outputs.
        fan_in: It begins uniform in ±sqrt(6 / fan_in) (He et al. 2015); at zero where this is 0.
    """

    name: str
    shape: tuple[int, ...]
    fan_in: int = 0

    @property
    def size(self) -> int:
        """Number of scalars."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Architecture:
    """A network.

    Attributes:
        name: Name of the task that it is for; its files lie in `edgenode/tasks/<name>/`.
        batch: Examples in a step. The graph's shapes are static.
        input_shape: Shape of one example.
        classes: Number of classes.
        parameters: Arrays in the order in which the flat vector holds them.
        logits: From those arrays, x of shape (batch, *input_shape), and the form of convolutions,
            logits of shape (batch, classes).
    """

    name: str
    batch: int
    input_shape: tuple[int, ...]
    classes: int
    parameters: tuple[Parameter, ...]
    logits: Callable[[Sequence[tf.Tensor], tf.Tensor, Form], tf.Tensor]

    @property
    def parameter_count(self) -> int:
        """Length of the flat vector."""
        return sum(parameter.size for parameter in self.parameters)


def _layer(name: str, *shape: int, logits: bool = False) -> tuple[Parameter, Parameter]:
    """The filters or matrix of a layer, whose last axis is its outputs, and its bias."""
    # Logits begin four times smaller: an untrained model should hardly prefer a class, and large
    # first gradients throw boxes with different patients far apart.
    return (
        Parameter(f"{name}/weights", shape, fan_in=math.prod(shape[:-1]) * (16 if logits else 1)),
        Parameter(f"{name}/bias", shape[-1:]),
    )


def _cifar10_logits(arrays: Sequence[tf.Tensor], x: tf.Tensor, form: Form) -> tf.Tensor:
    w1, b1, w2, b2, w3, b3, w4, b4, w5, b5 = arrays
    # The paper adds the bias, then takes ReLU, then pools. Pooling first gives the same values and
    # gradients (all three are monotone, the bias is the same in a window, and where all four are
    # negative nothing flows back), and the bias and ReLU then cost a quarter.
    x = relu(max_pool(convolution(x, w1, form), rows=True) + b1)
    x = relu(max_pool(convolution(x, w2, form), rows=True) + b2)
    x = relu(convolution(x, w3, form) + b3)
    x = relu(tf.matmul(tf.reshape(x, [x.shape[0], -1]), w4) + b4)
    return tf.matmul(x, w5) + b5


CIFAR10 = Architecture(
    name="cifar10",
    batch=32,
    input_shape=(32, 32, 3),
    classes=10,
    parameters=(
        *_layer("convolution1", 3, 3, 3, 32),
        *_layer("convolution2", 3, 3, 32, 64),
        *_layer("convolution3", 3, 3, 64, 64),
        *_layer("dense1", 4 * 4 * 64, 64),
        *_layer("dense2", 64, 10, logits=True),
    ),
    logits=_cifar10_logits,
)


def _activity_logits(arrays: Sequence[tf.Tensor], x: tf.Tensor, form: Form) -> tf.Tensor:
    w1, b1, w2, b2, w3, b3, w4, b4 = arrays
    batch, samples, channels = x.shape.as_list()
    # Four samples side by side: a convolution of stride 4 without a strided operator.
    x = tf.reshape(x, [batch, 1, samples // 4, 4 * channels])
    x = relu(max_pool(convolution(x, w1, form), rows=False) + b1)
    x = relu(max_pool(convolution(x, w2, form), rows=False) + b2)
    x = relu(convolution(x, w3, form) + b3)
    return tf.matmul(tf.reduce_mean(x, axis=[1, 2]), w4) + b4


ACTIVITY = Architecture(
    name="activity",
    batch=32,
    input_shape=(256, 6),
    classes=7,
    parameters=(
        *_layer("convolution1", 1, 3, 24, 32),
        *_layer("convolution2", 1, 5, 32, 48),
        *_layer("convolution3", 1, 5, 48, 64),
        *_layer("dense1", 64, 7, logits=True),
    ),
    logits=_activity_logits,
)

ARCHITECTURES = {architecture.name: architecture for architecture in (ACTIVITY, CIFAR10)}
