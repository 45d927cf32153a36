"""The layers that Keras lacks, or does more slowly or otherwise on some backend.

They are Keras layers and `keras.ops`, and compute the same on every backend.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops


@keras.saving.register_keras_serializable("research")
class Embedding(layers.Embedding):
    """Keras' layer, with a gradient that the optimizers get right on TensorFlow too.

    There the gradient is a list of slices, several for a word that occurs several times, and Keras'
    RMSprop and Adam square each slice before they add them up: the mean square of a frequent word
    came out up to 28,000 times too large or four times too small. After a product with 1 it is an
    array, as on the other backends.
    """

    def call(self, inputs: Any) -> Any:
        """Returns float[examples, sequence_length, embedding_dim]."""
        if not self.trainable:
            return super().call(inputs)
        embeddings = ops.cast(ops.multiply(self.embeddings, 1), self.compute_dtype)
        return ops.take(embeddings, inputs, axis=0)


@keras.saving.register_keras_serializable("research")
class PooledConv1D(layers.Conv1D):
    """A convolution without padding, the maximum of every few of its windows, a bias and ReLU.

    It computes what Conv1D with ReLU and MaxPooling1D compute, to the last bit, in less time: bias
    and ReLU are monotonic, so they may as well come after the maximum, where few places are left.

    Args:
      filters: channels of the output.
      kernel_size: the width of a window.
      pool_size: windows of which one is kept; a rest of fewer is dropped, as by MaxPooling1D.
      windows: how many there are in all; inputs that are too short for them end in zeros.
    """

    def __init__(
        self, filters: int, kernel_size: int, pool_size: int, windows: int, **options: Any
    ) -> None:
        super().__init__(filters, kernel_size, **options)
        self.pool_size, self.windows = pool_size, windows

    def call(self, inputs: Any) -> Any:
        """Takes float[examples, time, channels]; returns float[examples, pools, filters]."""
        # Of a short input only the pools that it reaches are computed; those of zeros are zero.
        time, width = inputs.shape[1], self.kernel_size[0]
        pools = min(-(-time // self.pool_size), self.windows // self.pool_size)
        time = pools * self.pool_size + width - 1
        inputs = _end_in_zeros(inputs[:, :time], time)
        match keras.backend.backend():
            case "jax":
                maxima = _max_by_reshape(ops.conv(inputs, self.kernel), self.pool_size)
            case "torch":
                maxima = self._channels_last_maxima(inputs)
            case _:
                windows, size = ops.conv(inputs, self.kernel), (self.pool_size,)
                maxima = ops.max_pool(windows, size, size)
        maxima = _end_in_zeros(maxima, self.windows // self.pool_size)
        return ops.relu(ops.add(maxima, self.bias))

    def _channels_last_maxima(self, x: Any) -> Any:
        # PyTorch has a layout with the channels last for two dimensions, not for one. Such is the
        # array that a transposition makes of ours, without a copy; Keras, told that the channels
        # come last, would copy it to the other layout and back.
        x = ops.transpose(ops.expand_dims(x, 1), (0, 3, 1, 2))
        size, layout = (1, self.pool_size), "channels_first"
        x = ops.conv(x, ops.expand_dims(self.kernel, 0), data_format=layout)
        x = ops.max_pool(x, size, size, data_format=layout)
        return ops.transpose(ops.squeeze(x, 2), (0, 2, 1))

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Returns (examples, pools, filters)."""
        return input_shape[0], self.windows // self.pool_size, self.filters

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "pool_size": self.pool_size, "windows": self.windows}


def _end_in_zeros(x: Any, time: int) -> Any:
    missing = time - x.shape[1]
    return ops.pad(x, [[0, 0], [0, missing], [0, 0]]) if missing else x


def _max_by_reshape(x: Any, size: int) -> Any:
    """Returns the maxima of every `size` places of float[examples, pools * size, channels].

    XLA's own gradient of a maximum over windows is a slow scatter on a CPU.
    """
    pools, channels = x.shape[1] // size, x.shape[2]

    def maxima(x: Any) -> Any:
        windows = ops.reshape(x, (-1, pools, size, channels))
        best = ops.argmax(windows, axis=2, keepdims=True)  # the first of equals, as elsewhere

        def gradient(*args: Any, upstream: Any = None) -> Any:
            upstream = ops.expand_dims(args[0] if upstream is None else upstream, 2)
            is_best = ops.equal(best, ops.reshape(ops.arange(size), (-1, 1)))
            of_windows = ops.where(is_best, upstream, ops.zeros_like(upstream))
            return ops.reshape(of_windows, (-1, pools * size, channels))

        return ops.max(windows, axis=2), gradient

    return ops.custom_gradient(maxima)(x)


class TfidfLogits(layers.Layer):
    """The logits of a linear classifier of TF-IDF, from token ids; frozen.

    Args:
      idf: float[words].
      weights: float[words, classes].
      bias: float[classes].
    """

    def __init__(
        self, idf: np.ndarray, weights: np.ndarray, bias: np.ndarray, **options: Any
    ) -> None:
        # Not in bfloat16 under mixed precision, which can't tell frequent words apart.
        super().__init__(trainable=False, dtype=keras.config.floatx(), **options)
        self.initial = {"idf": idf, "weights": weights, "bias": bias}

    def build(self, input_shape: tuple[Any, ...]) -> None:
        """Makes the three arrays."""
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

    def call(self, token_ids: Any) -> tuple[Any, Any]:
        """Takes int32[examples, time]; returns float[examples, classes] and [examples, time].

        The second is the idf of each token.
        """
        # In order, a word's occurrences stand side by side: the k-th has the same id k - 1 places
        # before, and another k places before. The 1st, 2nd, 4th and so on each add to its weight,
        # which comes to 1 + ln(count), the count rounded down to a power of two.
        ids = ops.sort(token_ids, axis=1)
        idf = ops.take(self._idf, ids, axis=0)
        weight = square = ops.zeros_like(idf)
        reached, k = 0.0, 1
        while k <= min(64, ids.shape[1]):
            is_kth = ops.not_equal(ids, _shifted(ids, k))
            if k > 1:
                is_kth = ops.logical_and(is_kth, ops.equal(ids, _shifted(ids, k - 1)))
            now, is_kth = 1 + float(np.log(k)), ops.cast(is_kth, idf.dtype)
            weight = ops.add(weight, ops.multiply(now - reached, is_kth))
            square = ops.add(square, ops.multiply(now**2 - reached**2, is_kth))
            reached, k = now, 2 * k
        square = ops.sum(ops.multiply(square, ops.square(idf)), axis=1, keepdims=True)
        tfidf = ops.divide(ops.multiply(weight, idf), ops.sqrt(ops.add(square, 1e-12)))
        columns = ops.take(self._weights, ids, axis=0)
        logits = ops.sum(ops.multiply(ops.expand_dims(tfidf, -1), columns), axis=1)
        return ops.add(logits, self._bias), ops.take(self._idf, token_ids, axis=0)

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, Any]:
        """Returns (examples, classes) and (examples, time)."""
        return (input_shape[0], len(self.initial["bias"])), input_shape


def _shifted(ids: Any, places: int) -> Any:
    """Returns the ids so many places before, int32[examples, time]; -1 where there are none."""
    return ops.pad(ids[:, :-places], [[0, 0], [places, 0]], constant_values=-1)


@keras.saving.register_keras_serializable("research")
class MeanOfExperts(layers.Layer):
    """The mean of two experts' log-probabilities; while training, the logits of the first alone.

    A geometric mean of probabilities, up to a constant. Hinton 2002,
    doi:10.1162/089976602760128018.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(dtype=keras.config.floatx(), **options)

    def call(self, first: Any, second: Any, training: bool = False) -> Any:
        """Takes two arrays of logits, float[examples, classes], and returns one."""
        if training:
            return first
        return ops.divide(ops.add(ops.log_softmax(first), ops.log_softmax(second)), 2)


@keras.saving.register_keras_serializable("research")
class GlorotUniform(keras.initializers.Initializer):
    """Glorot and Bengio's uniform distribution, drawn by NumPy.

    Keras draws it with the running backend's generator, so one seed gives each backend other
    weights. Glorot and Bengio 2010, https://proceedings.mlr.press/v9/glorot10a.html.

    Args:
      seed: the seed of the run.
      stream: tells the layers of a model apart.
    """

    def __init__(self, seed: int, stream: int) -> None:
        self.seed, self.stream = seed, stream

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Any:
        """Returns dtype[*shape]; the last two axes are inputs and outputs, as in Keras' kernels."""
        receptive_field = int(np.prod(shape[:-2]))
        limit = np.sqrt(6 / (receptive_field * (shape[-2] + shape[-1])))
        generator = np.random.default_rng((self.seed, self.stream))
        return ops.convert_to_tensor(generator.uniform(-limit, limit, size=shape), dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {"seed": self.seed, "stream": self.stream}


@keras.saving.register_keras_serializable("research")
class Dropout(layers.Layer):
    """Dropout whose masks are the same on every backend.

    Whether a unit is kept depends on the seed, the number of the training step and the unit's
    position alone, through an integer hash, and no backend's own generator has a part in it.
    Srivastava et al. 2014, https://jmlr.org/papers/v15/srivastava14a.html.

    Args:
      rate: the share of units set to zero, in [0, 1); the others are scaled by 1 / (1 - rate).
      seed: int in [0, 2**31).
    """

    def __init__(self, rate: float, seed: int, **options: Any) -> None:
        super().__init__(**options)
        self.rate, self.seed = rate, seed
        # Its state is the seed and a counter; Keras saves it, and counts it as no parameter.
        self.steps = keras.random.SeedGenerator(seed, name=self.name)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Returns the inputs, float[examples, ...], with some units dropped while training."""
        if not training or self.rate == 0:
            return inputs
        seed_and_step = ops.cast(self.steps.next(), "int32")
        kept = keep_mask(ops.shape(inputs), self.rate, seed_and_step)
        return ops.where(kept, ops.divide(inputs, 1 - self.rate), ops.zeros_like(inputs))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


@keras.saving.register_keras_serializable("research")
class WordDropout(Dropout):
    """Turns whole words into padding while training, by the same masks as `Dropout`."""

    def call(self, token_ids: Any, training: bool = False) -> Any:
        """Returns int32[examples, time], the token ids with some of them 0 while training."""
        if not training or self.rate == 0:
            return token_ids
        seed_and_step = ops.cast(self.steps.next(), "int32")
        kept = keep_mask(ops.shape(token_ids), self.rate, seed_and_step)
        return ops.where(kept, token_ids, ops.zeros_like(token_ids))


def keep_mask(shape: Sequence[Any], rate: float, seed_and_step: Any) -> Any:
    """Returns bool[*shape]: False, with probability `rate`, where dropout sets a unit to zero.

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
    """Returns int32[...] whose bits each depend on all bits of `x`, one to one.

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
    # int32, since PyTorch computes little on uint32; the mask removes the copies of the sign bit.
    shifted = ops.right_shift(x, ops.convert_to_tensor(bits, "int32"))
    return ops.bitwise_and(shifted, ops.convert_to_tensor(2 ** (32 - bits) - 1, "int32"))


def embedding_layer(embeddings: np.ndarray, trainable: bool) -> Embedding:
    """Return the layer named "embedding", whose rows are float[vocabulary_size, embedding_dim]."""
    rows, dimensions = embeddings.shape
    return Embedding(
        rows,
        dimensions,
        embeddings_initializer=lambda shape, dtype: ops.convert_to_tensor(embeddings, dtype),
        trainable=trainable,
        name="embedding",
    )


def logits_layer(classes: int, seed: int) -> layers.Dense:
    """Return the layer named "logits", which is not in bfloat16 under mixed precision.

    There a softmax would lose the small classes.
    """
    return layers.Dense(
        classes,
        kernel_initializer=GlorotUniform(seed, 0),
        dtype=keras.config.floatx(),
        name="logits",
    )
