"""One measurement of one runtime, in a process of its own: `bench.training` starts these.

Prints one JSON document: step times, first and last loss, peak memory. Every runtime does the same
work: the same network from the same parameters, batches of the same data, SGD with momentum.
"""

# Each process imports the one runtime that it measures.
# ruff: noqa: PLC0415

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgenode.tasks.registry import find_task
from edgenode.tasks.task import Task

RATE, MOMENTUM, BATCH, BATCHES = 0.01, 0.9, 32, 8

Floats = NDArray[np.float32]
Labels = NDArray[Any]

# Takes x and y of a batch, and gives its loss as a number.
Step = Callable[[Floats, Labels], float]


def tflite(task: Task, parameters: Floats, threads: int, runtime: str = "tflite") -> Step:
    """The node's own code, with the form of the model that it would choose."""
    from edgenode.training.interpreter import load_graph

    graph = load_graph(task.model_file(runtime), runtime, threads)
    momentum = np.zeros_like(parameters)

    def step(x: Floats, y: Labels) -> float:
        nonlocal parameters, momentum
        done = graph.train(parameters, momentum, x, y, learning_rate=RATE, momentum_factor=MOMENTUM)
        parameters, momentum = done.parameters, done.momentum
        return done.loss

    return step


def litert(task: Task, parameters: Floats, threads: int) -> Step:
    """The same with LiteRT."""
    return tflite(task, parameters, threads, "litert")


def tensorflow(task: Task, parameters: Floats, threads: int) -> Step:
    """A compiled `tf.function` over variables, with TensorFlow's own gradients."""
    import tensorflow as tf

    from models.architectures import ARCHITECTURES
    from models.plain import logits, split

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    architecture = ARCHITECTURES[task.name]
    variables = [tf.Variable(array) for array in split(architecture, parameters)]
    velocities = [tf.Variable(tf.zeros_like(array)) for array in variables]

    @tf.function
    def train(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                y, logits(task.name, variables, x)
            )
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, variables)
        for variable, velocity, gradient in zip(variables, velocities, gradients, strict=True):
            velocity.assign(MOMENTUM * velocity + gradient)
            variable.assign_sub(RATE * velocity)
        return loss

    return lambda x, y: float(train(x, y))


def torch(task: Task, parameters: Floats, threads: int) -> Step:
    """Modules in channels-last order, which is the faster one, and the library's optimiser."""
    import torch as pytorch
    from torch.nn import functional

    from bench.torch_networks import build

    pytorch.set_num_threads(threads)
    network = build(task.name, parameters)
    optimiser = pytorch.optim.SGD(network.parameters(), lr=RATE, momentum=MOMENTUM)

    def step(x: Floats, y: Labels) -> float:
        loss = functional.cross_entropy(network(pytorch.from_numpy(x)), pytorch.from_numpy(y))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return float(loss)

    return step


RUNTIMES = {"tflite": tflite, "litert": litert, "tensorflow": tensorflow, "torch": torch}


def peak_memory() -> int:
    """The most memory that this process ever held, in bytes."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main() -> int:
    """Measure argv[1] on task argv[2] with argv[3] threads for argv[4] seconds."""
    name, task_name, threads, seconds = sys.argv[1:5]
    task = find_task(task_name)
    start = time.perf_counter()
    parameters = (task.genesis_parameters() * 2.0**-24).astype(np.float32)
    try:
        step = RUNTIMES[name](task, parameters, int(threads))
    except ImportError as error:
        print(json.dumps({"missing": str(error)}))
        return 0
    random = np.random.default_rng(1)
    x = random.uniform(-1, 1, (BATCHES, BATCH, *task.input_shape)).astype(np.float32)
    y = random.integers(0, task.classes, (BATCHES, BATCH))
    y = y.astype(np.int64 if name == "torch" else np.int32)
    losses = [step(x[n % BATCHES], y[n % BATCHES]) for n in range(2 * BATCHES)]
    ready = time.perf_counter() - start
    wall: list[float] = []
    cpu: list[float] = []
    until = time.perf_counter() + float(seconds)
    while time.perf_counter() < until:
        n = len(wall) % BATCHES
        before = time.perf_counter(), time.process_time()
        step(x[n], y[n])
        wall.append(time.perf_counter() - before[0])
        cpu.append(time.process_time() - before[1])
    print(
        json.dumps(
            {
                "wall": float(np.median(wall)),
                "cpu": float(np.median(cpu)),
                "steps": len(wall),
                "ready": ready,
                "losses": losses,
                "memory": peak_memory(),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
