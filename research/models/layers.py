"""Layers that Keras lacks, or that are slow or different on one of its backends.

They are written with Keras layers and `keras.ops`, and compute the same on every backend.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from research.models import linear


@keras.saving.register_keras_serializable("research")
class Embedding(layers.Embedding):
    """Keras's layer, with a dense gradient on TensorFlow too.

    There, the gradient is a list of slices, and a word that occurs several times has several.
    Keras's RMSprop and Adam square each slice before they add them up. The mean square of a
    frequent word came out up to 28,000 times too large, or four times too small. Multiplying the
    weights by 1 makes the gradient a plain array, as on the other backends.
    """

    def call(self, inputs: Any) -> Any:
        """Return float[examples, sequence_length, embedding_dim]."""
        if not self.trainable:
            return super().call(inputs)
        embeddings = ops.cast(ops.multiply(self.embeddings, 1), self.compute_dtype)
        return ops.take(embeddings, inputs, axis=0)


@keras.saving.register_keras_serializable("research")
class PooledConv1D(layers.Conv1D):
    """A convolution without padding, max pooling, a bias and ReLU.

    It computes what Conv1D with ReLU and then MaxPooling1D compute, to the last bit, in less time.
    Bias and ReLU are monotonic, so they can follow the maximum, where fewer values are left.

    Args:
      filters: channels of the output.
      kernel_size: the width of a window.
      pool_size: windows of which one is kept. An incomplete group at the end is dropped, as by
        MaxPooling1D.
      windows: how many there are in all. Shorter inputs are padded with zeros at the end.
    """

    def __init__(
        self, filters: int, kernel_size: int, pool_size: int, windows: int, **options: Any
    ) -> None:
        super().__init__(filters, kernel_size, **options)
        self.pool_size, self.windows = pool_size, windows

    def call(self, inputs: Any) -> Any:
        """Take float[examples, time, channels]; return float[examples, pools, filters]."""
        # Only the pools that a short input reaches are computed. Pools of padding alone are zero.
        time, width = inputs.shape[1], self.kernel_size[0]
        pools = min(-(-time // self.pool_size), self.windows // self.pool_size)
        time = pools * self.pool_size + width - 1
        inputs = _pad_end(inputs[:, :time], time)
        match keras.backend.backend():
            case "jax":
                maxima = _max_by_reshape(ops.conv(inputs, self.kernel), self.pool_size)
            case "torch":
                maxima = self._channels_last_maxima(inputs)
            case _:
                windows, size = ops.conv(inputs, self.kernel), (self.pool_size,)
                maxima = ops.max_pool(windows, size, size)
        maxima = _pad_end(maxima, self.windows // self.pool_size)
        return ops.relu(ops.add(maxima, self.bias))

    def _channels_last_maxima(self, x: Any) -> Any:
        # PyTorch has a channels-last layout for two-dimensional convolutions only. Transposing our
        # array gives that layout without a copy. Told that the channels come last, Keras would copy
        # the array to the other layout and back.
        x = ops.transpose(ops.expand_dims(x, 1), (0, 3, 1, 2))
        size, layout = (1, self.pool_size), "channels_first"
        x = ops.conv(x, ops.expand_dims(self.kernel, 0), data_format=layout)
        x = ops.max_pool(x, size, size, data_format=layout)
        return ops.transpose(ops.squeeze(x, 2), (0, 2, 1))

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return (examples, pools, filters)."""
        return input_shape[0], self.windows // self.pool_size, self.filters

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "pool_size": self.pool_size, "windows": self.windows}


def _pad_end(x: Any, time: int) -> Any:
    missing = time - x.shape[1]
    return ops.pad(x, [[0, 0], [0, missing], [0, 0]]) if missing else x


def _max_by_reshape(x: Any, size: int) -> Any:
    """Return the maximum of each group of `size` places, float[examples, pools, channels].

    XLA's own gradient of a maximum over windows is a slow scatter on a CPU.

    Args:
      x: float[examples, pools * size, channels].
      size: places in a group.
    """
    pools, channels = x.shape[1] // size, x.shape[2]

    def maxima(x: Any) -> Any:
        windows = ops.reshape(x, (-1, pools, size, channels))
        best = ops.argmax(windows, axis=2, keepdims=True)  # of equals the first

        def gradient(*args: Any, upstream: Any = None) -> Any:
            upstream = ops.expand_dims(args[0] if upstream is None else upstream, 2)
            is_best = ops.equal(best, ops.reshape(ops.arange(size), (-1, 1)))
            of_windows = ops.where(is_best, upstream, ops.zeros_like(upstream))
            return ops.reshape(of_windows, (-1, pools * size, channels))

        return ops.max(windows, axis=2), gradient

    return ops.custom_gradient(maxima)(x)


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


@keras.saving.register_keras_serializable("research")
class GlorotUniform(keras.initializers.Initializer):
    """Glorot and Bengio's uniform distribution, drawn by NumPy.

    Keras draws with the generator of the running backend, so that a seed gives different weights on
    each backend. Glorot and Bengio 2010, https://proceedings.mlr.press/v9/glorot10a.html.

    Args:
      seed: the seed of the run.
      stream: tells the layers of a model apart.
    """

    def __init__(self, seed: int, stream: int) -> None:
        self.seed, self.stream = seed, stream

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Any:
        """Return dtype[*shape]; the last two axes are inputs and outputs, as in Keras's kernels."""
        receptive_field = int(np.prod(shape[:-2]))
        limit = np.sqrt(6 / (receptive_field * (shape[-2] + shape[-1])))
        generator = np.random.default_rng((self.seed, self.stream))
        return ops.convert_to_tensor(generator.uniform(-limit, limit, size=shape), dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"seed": self.seed, "stream": self.stream}


@keras.saving.register_keras_serializable("research")
class Dropout(layers.Layer):
    """Dropout whose masks are the same on every backend.

    Whether a unit is kept depends only on the seed, the number of the training step and the unit's
    position, through an integer hash. No backend's own generator is used.
    Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html.

    Args:
      rate: the share of units set to zero, in [0, 1); the others are scaled by 1 / (1 - rate).
      seed: int in [0, 2**31).
    """

    def __init__(self, rate: float, seed: int, **options: Any) -> None:
        super().__init__(**options)
        self.rate, self.seed = rate, seed
        # Its state is a seed and a counter. Keras saves them, but does not count them as
        # parameters.
        self.steps = keras.random.SeedGenerator(seed, name=self.name)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Return the inputs, float[examples, ...], with some units dropped while training."""
        if not training or self.rate == 0:
            return inputs
        seed_and_step = ops.cast(self.steps.next(), "int32")
        kept = keep_mask(ops.shape(inputs), self.rate, seed_and_step)
        return ops.where(kept, ops.divide(inputs, 1 - self.rate), ops.zeros_like(inputs))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


@keras.saving.register_keras_serializable("research")
class WordDropout(Dropout):
    """Turns whole words into padding while training, by the same masks as `Dropout`."""

    def call(self, token_ids: Any, training: bool = False) -> Any:
        """Return int32[examples, time], the token ids with some of them 0 while training."""
        if not training or self.rate == 0:
            return token_ids
        seed_and_step = ops.cast(self.steps.next(), "int32")
        kept = keep_mask(ops.shape(token_ids), self.rate, seed_and_step)
        return ops.where(kept, token_ids, ops.zeros_like(token_ids))


def keep_mask(shape: Sequence[Any], rate: float, seed_and_step: Any) -> Any:
    """Return bool[*shape]: False, with probability `rate`, where dropout sets a unit to zero.

    Args:
      shape: of the units.
      rate: in [0, 1).
      seed_and_step: int32[2], the seed and the number of the training step.
    """
    units = 1
    for size in shape:
        units = units * size
    key = _mix(ops.bitwise_xor(_mix(seed_and_step[0]), seed_and_step[1]))
    # Positions are mixed before the key comes in, so that no two steps use shifts of one sequence.
    bits = _mix(ops.bitwise_xor(_mix(ops.arange(units, dtype="int32")), key))
    uniform = _shift_right(bits, 8)  # int32 in [0, 2**24)
    return ops.reshape(ops.greater_equal(uniform, round(rate * 2**24)), shape)


def _mix(x: Any) -> Any:
    """Return a hash of each number, int32[...]; no two numbers have the same.

    Chris Wellons' hash `lowbias32`, https://github.com/skeeto/hash-prospector, after adding the
    golden ratio, since the hash itself maps 0 to 0. int32 products wrap on every backend.
    """
    x = ops.add(x, ops.convert_to_tensor(_int32(0x9E3779B9), "int32"))
    x = ops.bitwise_xor(x, _shift_right(x, 16))
    x = ops.multiply(x, ops.convert_to_tensor(_int32(0x7FEB352D), "int32"))
    x = ops.bitwise_xor(x, _shift_right(x, 15))
    x = ops.multiply(x, ops.convert_to_tensor(_int32(0x846CA68B), "int32"))
    return ops.bitwise_xor(x, _shift_right(x, 16))


def _int32(word: int) -> int:
    return word - 2**32 if word >= 2**31 else word


def _shift_right(x: Any, bits: int) -> Any:
    # int32, since PyTorch has few operations on uint32. The mask clears the copied sign bits.
    shifted = ops.right_shift(x, ops.convert_to_tensor(bits, "int32"))
    return ops.bitwise_and(shifted, ops.convert_to_tensor(2 ** (32 - bits) - 1, "int32"))


def embedding_layer(embeddings: np.ndarray, trainable: bool) -> Embedding:
    """Return the layer named "embedding", which looks up the rows of a matrix.

    Args:
      embeddings: float[vocabulary_size, embedding_dim].
      trainable: whether training changes the rows.
    """
    rows, dimensions = embeddings.shape
    return Embedding(
        rows,
        dimensions,
        embeddings_initializer=lambda shape, dtype: ops.convert_to_tensor(embeddings, dtype),
        trainable=trainable,
        name="embedding",
    )


def logits_layer(classes: int, seed: int) -> layers.Dense:
    """Return the layer named "logits".

    It computes in full precision even under mixed precision: in bfloat16 the softmax would lose
    small probabilities.
    """
    return layers.Dense(
        classes,
        kernel_initializer=GlorotUniform(seed, 0),
        dtype=keras.config.floatx(),
        name="logits",
    )
