"""CIFAR-10: the paper's image task. Images are float32 (32, 32, 3), pixels scaled to -1..1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgenode.tasks.task import Schedule, Task

CIFAR10 = Task(
    name="cifar10",
    folder=Path(__file__).parent,
    input_shape=(32, 32, 3),
    class_names=(
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
    schedule=Schedule(steps=25, learning_rate=0.01, momentum_factor=0.9),
    model_names={"tflite": "model.tflite", "litert": "model-matmul.tflite"},
)


def normalise(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale uint8 images (n, 32, 32, 3) to float32 -1..1."""
    scaled: NDArray[np.float32] = images.astype(np.float32) / np.float32(127.5) - np.float32(1)
    return scaled
