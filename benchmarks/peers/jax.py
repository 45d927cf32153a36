"""The networks of the tutorial and of Kim 2014 in JAX, without Keras, as an expert does it.

Pooling reshapes and takes the maximum of an axis: on a CPU that is quicker than a window reduction,
whose gradient XLA computes by a slow scatter. Bias and ReLU follow the maximum, where fewer values
are left.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

MODES = {"jit": "XLA, a step a call", "scan": "XLA, lax.scan over the steps"}
"""How the steps are run -> what compiles them."""

_RATE, _RHO, _EPSILON = 1e-3, 0.9, 1e-7


class State(NamedTuple):
    """What a step changes; the last two are sums over the steps."""

    weights: dict[str, jax.Array]
    mean_squares: dict[str, jax.Array]
    key: jax.Array
    loss: jax.Array
    correct: jax.Array


class Peer:
    """The network with its optimizer.

    Args:
      weights: Keras' path -> float32[...], in Keras' order of axes.
      dropout: the rate.
      mode: a key of `MODES`.
    """

    def __init__(self, weights: Mapping[str, np.ndarray], dropout: float, mode: str) -> None:
        self._embeddings = jnp.asarray(weights["embedding/embeddings"])
        trainable = {
            path: jnp.asarray(value)
            for path, value in weights.items()
            if path.endswith(("/kernel", "/bias"))
        }
        self._state = State(
            trainable,
            jax.tree.map(jnp.zeros_like, trainable),
            jax.random.key(0),
            jnp.zeros(()),
            jnp.zeros((), "int32"),
        )
        self._mode, self._dropout = mode, dropout
        # The embeddings are an argument: a closure would make them a constant of the program.
        run = self._scan if mode == "scan" else self._step
        self._run = jax.jit(run, donate_argnums=0)

    def put(self, token_ids: np.ndarray, labels: np.ndarray) -> list[tuple[Any, Any]]:
        """Puts int32[steps, batch, sequence_length] and int32[steps, batch] on the device.

        A scan takes all steps as one array.
        """
        if self._mode == "scan":
            return [(jnp.asarray(token_ids), jnp.asarray(labels))]
        return [(jnp.asarray(x), jnp.asarray(y)) for x, y in zip(token_ids, labels, strict=True)]

    def train(self, batches: list[tuple[Any, Any]]) -> float:
        """Takes a step for each batch, waits for the device, and returns the mean loss in nats."""
        state = self._state._replace(loss=jnp.zeros(()), correct=jnp.zeros((), "int32"))
        for batch in batches:
            state = self._run(state, self._embeddings, batch)
        self._state = state
        steps = sum(labels.shape[0] if self._mode == "scan" else 1 for _, labels in batches)
        return float(state.loss) / steps

    def loss_and_gradients(self, batch: tuple[Any, Any]) -> tuple[float, dict[str, np.ndarray]]:
        """Returns the loss of a batch and its gradients by Keras' paths."""
        if self._mode == "scan":
            batch = (batch[0][0], batch[1][0])
        (loss, _), gradients = jax.jit(jax.value_and_grad(self._loss, has_aux=True))(
            self._state.weights, self._embeddings, batch, self._state.key
        )
        return float(loss), {path: np.asarray(gradient) for path, gradient in gradients.items()}

    def weights(self) -> dict[str, np.ndarray]:
        """Returns the trainable weights by Keras' paths."""
        return {path: np.array(value) for path, value in self._state.weights.items()}

    def _step(self, state: State, embeddings: jax.Array, batch: tuple[Any, Any]) -> State:
        key, used = jax.random.split(state.key)
        gradient_of = jax.value_and_grad(self._loss, has_aux=True)
        (loss, correct), gradients = gradient_of(state.weights, embeddings, batch, used)
        mean_squares = jax.tree.map(
            lambda mean, g: _RHO * mean + (1 - _RHO) * g * g, state.mean_squares, gradients
        )
        weights = jax.tree.map(
            lambda w, g, mean: w - _RATE * g * lax.rsqrt(mean + _EPSILON),
            state.weights,
            gradients,
            mean_squares,
        )
        return State(weights, mean_squares, key, state.loss + loss, state.correct + correct)

    def _scan(self, state: State, embeddings: jax.Array, batches: tuple[Any, Any]) -> State:
        def step(state: State, batch: tuple[Any, Any]) -> tuple[State, None]:
            return self._step(state, embeddings, batch), None

        last: State = lax.scan(step, state, batches)[0]
        return last

    def _loss(
        self,
        weights: dict[str, jax.Array],
        embeddings: jax.Array,
        batch: tuple[Any, Any],
        key: jax.Array,
    ) -> tuple[jax.Array, jax.Array]:
        """Returns the mean cross-entropy of a batch, and how many of it are labelled rightly."""
        token_ids, labels = batch
        features = _tutorial if "hidden/kernel" in weights else _kim
        x = features(weights, embeddings, token_ids)
        if self._dropout:
            kept = jax.random.bernoulli(key, 1 - self._dropout, x.shape)
            x = jnp.where(kept, x / (1 - self._dropout), 0)
        logits = x @ weights["logits/kernel"] + weights["logits/bias"]
        of_labels = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
        return -of_labels.mean(), (logits.argmax(axis=1) == labels).sum(dtype="int32")


def _tutorial(
    weights: dict[str, jax.Array], embeddings: jax.Array, token_ids: jax.Array
) -> jax.Array:
    """Returns float32[examples, 128]."""
    x = embeddings[token_ids]
    for block in (1, 2):
        x = _biased(_pool(_windows(x, weights, block)), weights, block)
    x = _biased(_windows(x, weights, 3).max(axis=1), weights, 3)
    return jax.nn.relu(x @ weights["hidden/kernel"] + weights["hidden/bias"])


def _kim(weights: dict[str, jax.Array], embeddings: jax.Array, token_ids: jax.Array) -> jax.Array:
    """Returns float32[examples, 300]; windows that begin with padding do not count."""
    x = embeddings[token_ids]  # padding has a vector of zeros
    is_word = (token_ids != 0)[:, :, None]
    maxima = []
    for width in (3, 4, 5):
        windows = _windows(jnp.pad(x, ((0, 0), (0, width - 1), (0, 0))), weights, width)
        most = jnp.where(is_word, windows, -jnp.inf).max(axis=1)
        maxima.append(_biased(most, weights, width))
    return jnp.concatenate(maxima, axis=1)


def _windows(x: jax.Array, weights: dict[str, jax.Array], name: int) -> jax.Array:
    """Returns float32[examples, time - width + 1, filters]."""
    kernel, axes = weights[f"convolution_{name}/kernel"], ("NWC", "WIO", "NWC")
    return lax.conv_general_dilated(x, kernel, (1,), "VALID", dimension_numbers=axes)


def _biased(x: jax.Array, weights: dict[str, jax.Array], name: int) -> jax.Array:
    return jax.nn.relu(x + weights[f"convolution_{name}/bias"])


def _pool(x: jax.Array) -> jax.Array:
    examples, time, channels = x.shape
    return x[:, : time // 5 * 5].reshape(examples, time // 5, 5, channels).max(axis=2)
