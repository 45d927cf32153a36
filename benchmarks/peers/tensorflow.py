"""The tutorial's network in TensorFlow, as one would write it without Keras."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

MODES = {"function": "tf.function", "xla": "tf.function, XLA"}
"""How a step is run -> what compiles it."""

_RATE, _RHO, _EPSILON = 1e-3, 0.9, 1e-7


class Peer(tf.Module):
    """The network with its optimizer.

    Args:
      weights: Keras' path -> float32[...], in Keras' order of axes.
      dropout: the rate.
      mode: a key of `MODES`.
    """

    def __init__(self, weights: Mapping[str, np.ndarray], dropout: float, mode: str) -> None:
        super().__init__()
        self._embeddings = tf.Variable(weights["embedding/embeddings"], trainable=False)
        self._weights = {
            path: tf.Variable(value)
            for path, value in weights.items()
            if path.endswith(("/kernel", "/bias"))
        }
        self._mean_squares = {
            path: tf.Variable(tf.zeros_like(value)) for path, value in self._weights.items()
        }
        self._loss_sum, self._correct = tf.Variable(0.0), tf.Variable(0)
        self._dropout = dropout
        self._run = tf.function(self._step, autograph=False, jit_compile=mode == "xla")
        self._gradients_of = tf.function(
            self._gradients, autograph=False, jit_compile=mode == "xla"
        )

    def put(self, token_ids: np.ndarray, labels: np.ndarray) -> list[tuple[Any, Any]]:
        """Puts int32[steps, batch, sequence_length] and int32[steps, batch] on the device."""
        # int32 would stay in the host's memory, with a GPU too.
        return [
            (tf.constant(x, tf.int64), tf.constant(y, tf.int64))
            for x, y in zip(token_ids, labels, strict=True)
        ]

    def train(self, batches: list[tuple[Any, Any]]) -> float:
        """Takes a step for each batch, waits for the device, and returns the mean loss in nats."""
        self._loss_sum.assign(0.0)
        self._correct.assign(0)
        for token_ids, labels in batches:
            self._run(token_ids, labels)
        return float(self._loss_sum.numpy()) / len(batches)

    def loss_and_gradients(self, batch: tuple[Any, Any]) -> tuple[float, dict[str, np.ndarray]]:
        """Returns the loss of a batch and its gradients by Keras' paths."""
        loss, _, gradients = self._gradients_of(*batch)
        return float(loss), {path: gradient.numpy() for path, gradient in gradients.items()}

    def weights(self) -> dict[str, np.ndarray]:
        """Returns the trainable weights by Keras' paths."""
        return {path: variable.numpy() for path, variable in self._weights.items()}

    def _step(self, token_ids: tf.Tensor, labels: tf.Tensor) -> None:
        loss, correct, gradients = self._gradients(token_ids, labels)
        for path, gradient in gradients.items():
            mean_square = _RHO * self._mean_squares[path] + (1 - _RHO) * gradient * gradient
            self._mean_squares[path].assign(mean_square)
            self._weights[path].assign_sub(_RATE * gradient * tf.math.rsqrt(mean_square + _EPSILON))
        self._loss_sum.assign_add(loss)
        self._correct.assign_add(correct)

    def _gradients(self, token_ids: tf.Tensor, labels: tf.Tensor) -> tuple[Any, Any, Any]:
        """Returns the mean cross-entropy, how many labels are right, and the gradients."""
        with tf.GradientTape() as tape:
            logits = self._logits(token_ids)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, self._weights)
        correct = tf.argmax(logits, axis=1) == labels
        return loss, tf.reduce_sum(tf.cast(correct, tf.int32)), gradients

    def _logits(self, token_ids: tf.Tensor) -> tf.Tensor:
        x = tf.gather(self._embeddings, token_ids)
        x = tf.nn.max_pool1d(self._convolution(x, 1), 5, 5, "VALID")
        x = tf.nn.max_pool1d(self._convolution(x, 2), 5, 5, "VALID")
        x = tf.reduce_max(self._convolution(x, 3), axis=1)
        x = tf.nn.relu(x @ self._weights["hidden/kernel"] + self._weights["hidden/bias"])
        if self._dropout:
            x = tf.nn.dropout(x, self._dropout)
        return x @ self._weights["logits/kernel"] + self._weights["logits/bias"]

    def _convolution(self, x: tf.Tensor, block: int) -> tf.Tensor:
        kernel, bias = (self._weights[f"convolution_{block}/{part}"] for part in ("kernel", "bias"))
        return tf.nn.relu(tf.nn.bias_add(tf.nn.conv1d(x, kernel, 1, "VALID"), bias))
