"""Training graphs in the TensorFlow Lite interpreters: tflite-runtime and LiteRT.

Both have the same Python interface and run the same files; they differ in kernels, size and in
which machines they work on (docs/training.md).
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np

from edgenode.training.graph import Floats, Graph, GraphError, Labels, Step

Runtime = Literal["tflite", "litert"]

_MODULES = {"tflite": "tflite_runtime.interpreter", "litert": "ai_edge_litert.interpreter"}
_REMEDIES = {
    "tflite": "install it with: pip install 'tflite-runtime==2.14.0'",
    "litert": "install it from the checkout: .venv/bin/pip install -e '.[litert]'",
}

_TRAIN_INPUTS = {
    "parameters",
    "momentum",
    "x",
    "y",
    "weights",
    "learning_rate",
    "momentum_factor",
}
_TRAIN_OUTPUTS = {"parameters", "momentum", "loss"}


def load_graph(path: Path, runtime: str = "tflite", threads: int = 1) -> Graph:
    """Load a model file into a runtime.

    Args:
        path: A .tflite file with the signatures `train` and `infer` (docs/training.md).
        runtime: "tflite" or "litert".
        threads: Threads for kernels. With two, tflite-runtime becomes several times slower as
            soon as another process wants one of the cores, so that one is the default.

    Raises:
        GraphError: The runtime is not installed, or the file is missing or no training graph.
    """
    if runtime not in get_args(Runtime):
        raise GraphError(f'runtime = "{runtime}" is unknown; it must be "tflite" or "litert"')
    if not 1 <= threads <= (os.cpu_count() or 1):
        raise GraphError(f"threads = {threads} is not between 1 and the {os.cpu_count()} cores")
    try:
        module = importlib.import_module(_MODULES[runtime])
    except ImportError as error:
        raise GraphError(
            f'runtime = "{runtime}" needs {_MODULES[runtime].partition(".")[0]}, which cannot be '
            f"imported ({error}); {_REMEDIES[runtime]}"
        ) from error
    try:
        content = path.read_bytes()
    except OSError as error:
        raise GraphError(f"cannot read the model {path}: {error.strerror}") from error
    return InterpreterGraph(module.Interpreter, content, str(path), threads)


class InterpreterGraph:
    """A `Graph` over an interpreter class with the interface of `tf.lite.Interpreter`."""

    # The interpreters carry no types: everything that comes from them is checked here.
    def __init__(self, interpreter: Any, content: bytes, name: str, threads: int) -> None:  # noqa: ANN401
        """Load a file's content.

        Raises:
            GraphError: The content is no model, lacks a signature, or its shapes do not fit.
        """
        # The identifier that FlatBuffers puts at byte 4: the interpreter aborts on some files
        # without it instead of raising.
        if content[4:8] != b"TFL3":
            raise GraphError(f"{name} is not a TensorFlow Lite file")
        try:
            self._interpreter = interpreter(model_content=content, num_threads=threads)
            signatures = self._interpreter.get_signature_list()
        except (ValueError, RuntimeError) as error:
            raise GraphError(f"{name} cannot be loaded: {error}") from error
        train, infer = signatures.get("train"), signatures.get("infer")
        if (
            train is None
            or infer is None
            or set(train["inputs"]) != _TRAIN_INPUTS
            or set(train["outputs"]) != _TRAIN_OUTPUTS
            or set(infer["inputs"]) != {"parameters", "x"}
            or set(infer["outputs"]) != {"logits"}
        ):
            raise GraphError(
                f"{name} lacks the signatures train and infer of a training graph; "
                f"it has {sorted(signatures)}"
            )
        try:
            self._train = self._interpreter.get_signature_runner("train")
            self._infer = self._interpreter.get_signature_runner("infer")
        except (ValueError, RuntimeError) as error:
            raise GraphError(f"{name} cannot be prepared by this runtime: {error}") from error
        inputs = self._train.get_input_details()
        logits = self._infer.get_output_details()["logits"]
        shapes = {key: tuple(int(n) for n in detail["shape"]) for key, detail in inputs.items()}
        self._batch, *input_shape = shapes["x"]
        self._input_shape = tuple(input_shape)
        (self._parameter_count,) = shapes["parameters"]
        self._classes = int(logits["shape"][-1])
        if shapes["momentum"] != shapes["parameters"] or shapes["y"] != (self._batch,):
            raise GraphError(f"the shapes of {name} do not fit each other: {shapes}")

    @property
    def parameter_count(self) -> int:
        """Length of the flat parameter vector."""
        return self._parameter_count

    @property
    def batch(self) -> int:
        """Examples in a step, at most."""
        return self._batch

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return self._input_shape

    @property
    def classes(self) -> int:
        """Number of classes; labels are 0..classes-1."""
        return self._classes

    def train(
        self,
        parameters: Floats,
        momentum: Floats,
        x: Floats,
        y: Labels,
        *,
        learning_rate: float,
        momentum_factor: float,
        weights: Floats | None = None,
    ) -> Step:
        """Take one step; see `Graph.train`."""
        self._check_vector("parameters", parameters)
        self._check_vector("momentum", momentum)
        self._check_examples(x)
        count = len(x)
        if count > self._batch:
            raise GraphError(f"{count} examples do not fit a batch of {self._batch}")
        if y.dtype != np.int32 or y.shape != (count,):
            raise GraphError(f"y must be int32 of shape ({count},), not {y.dtype} {y.shape}")
        if y.min() < 0 or y.max() >= self._classes:
            raise GraphError(f"a label is not in 0..{self._classes - 1}")
        if weights is None:
            weights = np.ones(count, np.float32)
        elif weights.dtype != np.float32 or weights.shape != (count,) or not weights.min() >= 0:
            raise GraphError(f"weights must be float32 of shape ({count},) and not negative")
        if not (learning_rate >= 0 and 0 <= momentum_factor <= 1):
            raise GraphError(
                f"learning rate {learning_rate} or momentum factor {momentum_factor} out of range"
            )
        results = self._train(
            parameters=parameters,
            momentum=momentum,
            x=self._padded(x),
            y=self._padded(y),
            weights=self._padded(weights),
            learning_rate=np.float32(learning_rate),
            momentum_factor=np.float32(momentum_factor),
        )
        return Step(results["parameters"], results["momentum"], float(results["loss"]))

    def infer(self, parameters: Floats, x: Floats) -> Floats:
        """Logits of any number of examples; see `Graph.infer`."""
        self._check_vector("parameters", parameters)
        if len(x) == 0:
            return np.empty((0, self._classes), np.float32)
        self._check_examples(x)
        logits = []
        for first in range(0, len(x), self._batch):
            part = x[first : first + self._batch]
            result = self._infer(parameters=parameters, x=self._padded(part))["logits"]
            logits.append(cast(Floats, result)[: len(part)])
        return np.concatenate(logits)

    def _check_vector(self, name: str, vector: Floats) -> None:
        if vector.dtype != np.float32 or vector.shape != (self._parameter_count,):
            raise GraphError(
                f"{name} must be float32 of shape ({self._parameter_count},), "
                f"not {vector.dtype} of shape {vector.shape}"
            )

    def _check_examples(self, x: Floats) -> None:
        if x.dtype != np.float32 or x.shape[1:] != self._input_shape or not len(x):
            shape = ", ".join(map(str, self._input_shape))
            raise GraphError(
                f"x must be float32 of shape (k, {shape}) with k >= 1, "
                f"not {x.dtype} of shape {x.shape}"
            )

    def _padded(self, array: Any) -> Any:  # noqa: ANN401
        """Fill a ragged batch with zeros: the graph's shapes are static, weights 0 leave it out."""
        missing = self._batch - len(array)
        if not missing:
            return array
        return np.concatenate([array, np.zeros((missing, *array.shape[1:]), array.dtype)])
