"""A stateless training graph as a TensorFlow Lite file with builtin operators only."""

from __future__ import annotations

import tempfile

import tensorflow as tf

from models.architectures import Architecture
from models.layers import Form, cross_entropy


def _arrays(architecture: Architecture, flat: tf.Tensor) -> list[tf.Tensor]:
    parts = tf.split(flat, [parameter.size for parameter in architecture.parameters])
    return [
        tf.reshape(part, parameter.shape)
        for part, parameter in zip(parts, architecture.parameters, strict=True)
    ]


class TrainingGraph(tf.Module):
    """The two signatures of a model: a step of SGD with momentum, and inference."""

    def __init__(self, architecture: Architecture, form: Form) -> None:
        super().__init__()
        self._architecture = architecture
        vector = tf.TensorSpec([architecture.parameter_count], tf.float32)
        scalar = tf.TensorSpec([], tf.float32)
        x = tf.TensorSpec([architecture.batch, *architecture.input_shape], tf.float32)
        labels = tf.TensorSpec([architecture.batch], tf.int32)
        weights = tf.TensorSpec([architecture.batch], tf.float32)

        @tf.function(input_signature=[vector, vector, x, labels, weights, scalar, scalar])
        def train(  # noqa: PLR0917 - a signature's order, fixed by the file's form
            parameters: tf.Tensor,
            momentum: tf.Tensor,
            x: tf.Tensor,
            y: tf.Tensor,
            weights: tf.Tensor,
            learning_rate: tf.Tensor,
            momentum_factor: tf.Tensor,
        ) -> dict[str, tf.Tensor]:
            arrays = _arrays(architecture, parameters)
            with tf.GradientTape() as tape:
                tape.watch(arrays)
                loss = cross_entropy(architecture.logits(arrays, x, form), y, weights)
            gradients = tape.gradient(loss, arrays)
            gradient = tf.concat([tf.reshape(part, [-1]) for part in gradients], axis=0)
            momentum = momentum_factor * momentum + gradient
            return {
                "parameters": parameters - learning_rate * momentum,
                "momentum": momentum,
                "loss": loss,
            }

        @tf.function(input_signature=[vector, x])
        def infer(parameters: tf.Tensor, x: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"logits": architecture.logits(_arrays(architecture, parameters), x, form)}

        self.train = train
        self.infer = infer


def convert(architecture: Architecture, form: Form) -> bytes:
    """Build the graph and return the bytes of its .tflite file; the same bytes each time."""
    tf.keras.backend.clear_session()
    module = TrainingGraph(architecture, form)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(
            module, folder, signatures={"train": module.train, "infer": module.infer}
        )
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=["train", "infer"]
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        return bytes(converter.convert())
