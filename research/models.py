"""The models, from Keras layers and `keras.ops` alone.

Every model maps token ids, int32[examples, sequence_length] with 0 for padding, to logits,
float32[examples, classes]. Everything random in it, initial weights and dropout, comes from the
seed and is the same on every backend.
"""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from research.names import choose


class TutorialCNN(keras.Model):
    """The network of the Keras tutorial "Using pre-trained word embeddings".

    https://keras.io/examples/nlp/pretrained_word_embeddings/ (François Chollet, 2020). With 20,000
    words, 100 dimensions and 20 classes it has 2,247,516 parameters, 2,000,200 of them frozen.
    """

    # Three windows of five with two poolings by five between them need ((5 * 5) + 4) * 5 + 4.
    minimum_sequence_length = 149
    has_wide_part = False

    def __init__(
        self,
        embeddings: np.ndarray,
        sequence_length: int,
        classes: int,
        *,
        trainable_embeddings: bool = False,
        dropout: float = 0.5,
        seed: int = 0,
    ) -> None:
        # The tutorial counts padding and [UNK] twice, so its last two rows are never looked up.
        embeddings = np.pad(embeddings, ((0, 2), (0, 0)))
        # Shorter texts are the same texts with less padding, as long as its row stays zero.
        length = sequence_length if trainable_embeddings else None
        token_ids = keras.Input((length,), dtype="int32", name="token_ids")
        x = _embedding(embeddings, trainable_embeddings)(token_ids)
        windows = sequence_length
        for block in (1, 2, 3):
            windows -= 4
            pool_size = 5 if block < 3 else windows
            convolution = PooledConv1D(
                128,
                5,
                pool_size=pool_size,
                windows=windows,
                kernel_initializer=GlorotUniform(seed, block),
                name=f"convolution_{block}",
            )
            x = convolution(x)
            windows //= pool_size
        x = layers.Flatten()(x)
        x = layers.Dense(
            128, activation="relu", kernel_initializer=GlorotUniform(seed, 4), name="hidden"
        )(x)
        x = Dropout(dropout, seed, name="dropout")(x)
        super().__init__(token_ids, _logits(classes, seed)(x), name="tutorial")


class KimCNN(keras.Model):
    """Convolutions of several widths side by side, each pooled by its maximum over time.

    Kim 2014, "Convolutional Neural Networks for Sentence Classification",
    https://aclanthology.org/D14-1181: widths 3, 4 and 5 with 100 filters each. Padding is masked,
    so the logits of a text don't depend on how far it is padded.
    """

    minimum_sequence_length = 1
    has_wide_part = False

    def __init__(
        self,
        embeddings: np.ndarray,
        sequence_length: int,
        classes: int,
        *,
        trainable_embeddings: bool = False,
        dropout: float = 0.5,
        seed: int = 0,
    ) -> None:
        token_ids = keras.Input((None,), dtype="int32", name="token_ids")
        x = _embedding(embeddings, trainable_embeddings)(token_ids)
        is_word = ops.expand_dims(ops.cast(ops.not_equal(token_ids, 0), x.dtype), -1)
        x = ops.multiply(x, is_word)  # the row of padding may be trained, and must stay zero
        maxima = []
        for width in (3, 4, 5):
            convolution = layers.Conv1D(
                100,
                width,
                activation="relu",
                kernel_initializer=GlorotUniform(seed, width),
                name=f"convolution_{width}",
            )
            # Room for a window that begins with the last word, as in Kim's own code. A window
            # counts if it begins with a word. After ReLU, zero is as good as absent.
            windows = convolution(ops.pad(x, [[0, 0], [0, width - 1], [0, 0]]))
            windows = ops.multiply(windows, is_word)
            maxima.append(ops.max(windows, axis=1))
        x = Dropout(dropout, seed, name="dropout")(ops.concatenate(maxima, axis=-1))
        super().__init__(token_ids, _logits(classes, seed)(x), name="kim")


class WideAndDeepCNN(keras.Model):
    """A linear classifier of all words beside convolutions over the frequent ones.

    The wide part is `research.linear`, frozen: an embedding with a column for each class, summed
    with the weights of TF-IDF. The deep part convolves (widths 1 and 3) over the word vectors of
    the 30,000 most frequent words, beside their columns of the wide part, and pools by the maximum
    and by the mean weighted with idf. While training, the logits are those of the deep part alone,
    since the wide part, fitted to the same texts, would leave it little to learn; otherwise they
    are the mean of both parts' log-probabilities.

    Cheng et al. 2016, "Wide & Deep Learning for Recommender Systems",
    https://arxiv.org/abs/1606.07792, has the two parts; theirs are trained together. Padding makes
    no difference.
    """

    minimum_sequence_length = 1
    has_wide_part = True

    def __init__(
        self,
        embeddings: np.ndarray,
        sequence_length: int,
        classes: int,
        *,
        wide: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
        trainable_embeddings: bool = False,
        dropout: float = 0.5,
        seed: int = 0,
    ) -> None:
        words = len(embeddings)
        if wide is None:  # a part that says nothing, until weights are assigned
            wide = (np.ones(words), np.zeros((words, classes)), np.zeros(classes))
        token_ids = keras.Input((None,), dtype="int32", name="token_ids")
        wide_logits, idf = TfidfLogits(*wide, name="wide")(token_ids)

        # Token ids are ranks of frequency. A rare word is [UNK] here; the wide part has seen it.
        ids = token_ids[:, :_DEEP_TOKENS]
        ids = ops.where(ops.less(ids, _DEEP_WORDS), ids, ops.ones_like(ids))
        ids = WordDropout(_WORD_DROPOUT, seed, name="word_dropout")(ids)
        rows = np.concatenate([embeddings, 0.1 * wide[1]], axis=1)[:_DEEP_WORDS]
        x = _embedding(rows, trainable_embeddings)(ids)
        is_word = ops.expand_dims(ops.cast(ops.not_equal(ids, 0), x.dtype), -1)
        x = ops.multiply(x, is_word)
        share = ops.multiply(ops.expand_dims(idf[:, :_DEEP_TOKENS], -1), is_word)
        share = ops.divide(share, ops.add(ops.sum(share, axis=1, keepdims=True), 1e-6))
        pooled = []
        for width in (1, 3):
            convolution = layers.Conv1D(
                128,
                width,
                padding="same",
                activation="relu",
                kernel_initializer=GlorotUniform(seed, width),
                name=f"convolution_{width}",
            )
            windows = ops.multiply(convolution(x), is_word)
            pooled += [ops.max(windows, axis=1), ops.sum(ops.multiply(windows, share), axis=1)]
        x = Dropout(dropout, seed, name="dropout")(ops.concatenate(pooled, axis=-1))
        logits = MeanOfExperts(name="mean")(_logits(classes, seed)(x), wide_logits)
        super().__init__(token_ids, logits, name="wide_deep")


_DEEP_WORDS, _DEEP_TOKENS, _WORD_DROPOUT = 30_000, 200, 0.3

MODELS: dict[str, Any] = {"tutorial": TutorialCNN, "kim": KimCNN, "wide-deep": WideAndDeepCNN}


def check(name: str, sequence_length: int) -> None:
    """Checks that there is a model `name` and that it can take texts of this length.

    Raises:
      ValueError: there is none, or the length is too short for its convolutions and poolings.
    """
    minimum = MODELS[choose("the model", name, MODELS)].minimum_sequence_length
    if sequence_length < minimum:
        raise ValueError(
            f"expected a sequence length of {minimum} or more, below which a convolution of the "
            f"model {name!r} has no whole window left, received {sequence_length}; "
            f"use --sequence-length {minimum} or another --model"
        )


def build(
    name: str,
    embeddings: np.ndarray,
    sequence_length: int,
    classes: int,
    *,
    precision: str | None = None,
    **options: Any,
) -> keras.Model:
    """Returns the model `name` with its initial weights.

    Args:
      name: a key of `MODELS`.
      embeddings: float32[vocabulary_size, embedding_dim], a row for each token id.
      sequence_length: tokens of a text.
      classes: how many.
      precision: Keras' dtype policy of the layers, such as "mixed_bfloat16"; None for the process'.
      options: `trainable_embeddings`, `dropout` (the rate) and `seed`; for a model that has a wide
        part, `wide` too: its idf, weights and bias, as `research.linear.fit` makes them.

    Raises:
      ValueError: as `check`.
    """
    check(name, sequence_length)
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(precision or policy)
        model: keras.Model = MODELS[name](embeddings, sequence_length, classes, **options)
    finally:
        keras.config.set_dtype_policy(policy)
    return model


def _embedding(embeddings: np.ndarray, trainable: bool) -> "Embedding":
    rows, dimensions = embeddings.shape
    return Embedding(
        rows,
        dimensions,
        embeddings_initializer=lambda shape, dtype: ops.convert_to_tensor(embeddings, dtype),
        trainable=trainable,
        name="embedding",
    )


def _logits(classes: int, seed: int) -> layers.Dense:
    # Not in bfloat16 under mixed precision, where a softmax would lose the small classes.
    return layers.Dense(
        classes,
        kernel_initializer=GlorotUniform(seed, 0),
        dtype=keras.config.floatx(),
        name="logits",
    )


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
