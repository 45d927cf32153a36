"""Layers of a linear expert, and of the product of two experts."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from research.models import linear


class LinearScores(layers.Layer):
    """The frozen classifier of `research.models.linear`. While training, its scores are zeros.

    Args:
      idf: float[words].
      weights: float[words, classes].
      pair_idf: float[places].
      pair_weights: float[places, classes].
      bias: float[classes].
    """

    def __init__(
        self,
        idf: np.ndarray,
        weights: np.ndarray,
        pair_idf: np.ndarray,
        pair_weights: np.ndarray,
        bias: np.ndarray,
        **options: Any,
    ) -> None:
        # In full precision even under mixed precision: bfloat16 cannot tell frequent words apart.
        super().__init__(trainable=False, dtype=keras.config.floatx(), **options)
        self.initial = {
            "idf": idf,
            "weights": weights,
            "pair_idf": pair_idf,
            "pair_weights": pair_weights,
            "bias": bias,
        }

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Create the five weights."""
        for name, values in self.initial.items():
            weight = self.add_weight(
                shape=values.shape,
                initializer=lambda shape, dtype, values=values: ops.convert_to_tensor(
                    values, dtype
                ),
                trainable=False,
                name=name,
            )
            setattr(self, f"_{name}", weight)

    def call(self, token_ids: Any, training: bool = False) -> tuple[Any, Any]:
        """Return the scores, float[examples, classes], and the idf of each token.

        Args:
          token_ids: int32[examples, time]; the idf has the same shape.
          training: nothing uses the scores then, so they are not computed.
        """
        idf = ops.take(self._idf, token_ids, axis=0)
        if training:
            return ops.zeros((ops.shape(token_ids)[0], len(self.initial["bias"])), idf.dtype), idf
        of_words = _tfidf_sum(token_ids, self._idf, self._weights)
        of_pairs = _tfidf_sum(_pair_ids(token_ids), self._pair_idf, self._pair_weights)
        return ops.add(ops.add(of_words, of_pairs), self._bias), idf

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, Any]:
        """Return (examples, classes) and (examples, time)."""
        return (input_shape[0], len(self.initial["bias"])), input_shape


def _pair_ids(token_ids: Any) -> Any:
    """Compute what `linear.pair_ids` does, on any backend."""
    second = ops.pad(token_ids[:, 1:], [[0, 0], [0, 1]])
    places = ops.add(ops.multiply(token_ids, linear.PAIR_FACTOR), second)
    places = ops.add(ops.mod(places, linear.PAIR_PLACES), 1)
    are_words = ops.greater_equal(ops.minimum(token_ids, second), 2)
    return ops.where(are_words, places, ops.zeros_like(places))


def _tfidf_sum(ids: Any, idf: Any, weights: Any) -> Any:
    """Return the TF-IDF of texts times weights, float[examples, classes].

    Args:
      ids: int32[examples, time].
      idf: float[ids]; zero for ids that do not count.
      weights: float[ids, classes].
    """
    # Sorting puts the occurrences of a word side by side. The k-th occurrence has the same id
    # k - 1 places before it, and another id k places before it. The 1st, 2nd, 4th, ... each add to
    # the weight of the word, which becomes 1 + ln(count) with the count rounded down to a power of
    # two.
    ids = ops.sort(ids, axis=1)
    idf = ops.take(idf, ids, axis=0)
    weight = square = ops.zeros_like(idf)
    reached, k = 0.0, 1
    while k <= min(linear.MOST_COUNTS, ids.shape[1]):
        is_kth = ops.not_equal(ids, _shifted(ids, k))
        if k > 1:
            is_kth = ops.logical_and(is_kth, ops.equal(ids, _shifted(ids, k - 1)))
        now, is_kth = 1 + float(np.log(k)), ops.cast(is_kth, idf.dtype)
        weight = ops.add(weight, ops.multiply(now - reached, is_kth))
        square = ops.add(square, ops.multiply(now**2 - reached**2, is_kth))
        reached, k = now, 2 * k
    square = ops.sum(ops.multiply(square, ops.square(idf)), axis=1, keepdims=True)
    tfidf = ops.divide(ops.multiply(weight, idf), ops.sqrt(ops.add(square, 1e-12)))
    columns = ops.take(weights, ids, axis=0)
    return ops.sum(ops.multiply(ops.expand_dims(tfidf, -1), columns), axis=1)


def _shifted(ids: Any, places: int) -> Any:
    """Return the ids `places` positions earlier, int32[examples, time]; -1 where there are none."""
    return ops.pad(ids[:, :-places], [[0, 0], [places, 0]], constant_values=-1)


@keras.saving.register_keras_serializable("research")
class ProductOfExperts(layers.Layer):
    """A product of powers of two experts' probabilities. While training, the first expert alone.

    The exponents say how much each expert counts and how sure it is. Training does not change them;
    they are fitted on held-out examples (`research.training.experts`). Hinton 2002,
    doi:10.1162/089976602760128018.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(trainable=False, dtype=keras.config.floatx(), **options)

    def build(self, first_shape: tuple[Any, ...], second_shape: tuple[Any, ...]) -> None:
        """Create the two exponents."""
        self.exponents = self.add_weight(
            shape=(2,),
            initializer=keras.initializers.Constant(0.5),
            trainable=False,
            name="exponents",
        )

    def call(self, first: Any, second: Any, training: bool = False) -> Any:
        """Return logits, float[examples, classes], from those of the two experts."""
        if training:
            return first
        first, second = ops.log_softmax(first), ops.log_softmax(second)
        return ops.add(
            ops.multiply(self.exponents[0], first), ops.multiply(self.exponents[1], second)
        )

    def compute_output_shape(
        self, first_shape: tuple[Any, ...], second_shape: tuple[Any, ...]
    ) -> tuple[Any, ...]:
        """Return (examples, classes)."""
        return first_shape
