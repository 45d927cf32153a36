"""The networks of the tutorial and of Kim 2014 in TensorFlow, without Keras, as an expert does it.

Bias and ReLU follow the maximum, where fewer values are left.
"""

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
        is_tutorial = "hidden/kernel" in self._weights
        x = self._tutorial(token_ids) if is_tutorial else self._kim(token_ids)
        if self._dropout:
            x = tf.nn.dropout(x, self._dropout)
        return x @ self._weights["logits/kernel"] + self._weights["logits/bias"]

    def _tutorial(self, token_ids: tf.Tensor) -> tf.Tensor:
        """Returns float32[examples, 128]."""
        x = tf.gather(self._embeddings, token_ids)
        for block in (1, 2):
            x = self._biased(tf.nn.max_pool1d(self._windows(x, block), 5, 5, "VALID"), block)
        x = self._biased(tf.reduce_max(self._windows(x, 3), axis=1), 3)
        return tf.nn.relu(x @ self._weights["hidden/kernel"] + self._weights["hidden/bias"])

    def _kim(self, token_ids: tf.Tensor) -> tf.Tensor:
        """Returns float32[examples, 300]; windows that begin with padding do not count."""
        x = tf.gather(self._embeddings, token_ids)  # padding has a vector of zeros
        is_word = (token_ids != 0)[:, :, None]
        maxima = []
        for width in (3, 4, 5):
            windows = self._windows(tf.pad(x, [[0, 0], [0, width - 1], [0, 0]]), width)
            most = tf.reduce_max(tf.where(is_word, windows, -np.inf), axis=1)
            maxima.append(self._biased(most, width))
        return tf.concat(maxima, axis=1)

    def _windows(self, x: tf.Tensor, name: int) -> tf.Tensor:
        return tf.nn.conv1d(x, self._weights[f"convolution_{name}/kernel"], 1, "VALID")

    def _biased(self, x: tf.Tensor, name: int) -> tf.Tensor:
        return tf.nn.relu(x + self._weights[f"convolution_{name}/bias"])
