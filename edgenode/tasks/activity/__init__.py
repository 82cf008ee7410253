"""Which of seven shoulder exercises is being done, from a watch's accelerometer and gyroscope."""

from __future__ import annotations

from pathlib import Path

from edgenode.tasks.activity.variation import vary
from edgenode.tasks.activity.windows import LENGTH, WindowCutter
from edgenode.tasks.stream import CHANNELS
from edgenode.tasks.task import Schedule, Task

ACTIVITY = Task(
    name="activity",
    folder=Path(__file__).parent,
    input_shape=(LENGTH, CHANNELS),
    class_names=(
        "pendulum",
        "abduction",
        "forward elevation",
        "internal rotation",
        "external rotation",
        "trapezius extension",
        "upright row",
    ),
    schedule=Schedule(steps=80, learning_rate=0.01, momentum_factor=0.9),
    model_names={"tflite": "model-matmul.tflite", "litert": "model-matmul.tflite"},
    augment=vary,
    cutter=WindowCutter,
)
