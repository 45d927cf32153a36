"""Layers that Keras lacks, or that are slow or different on one of its backends.

They are written with Keras layers and `keras.ops`, and compute the same on every backend.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from research.models.randomness import GlorotUniform


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
        # Windows left over at the end are dropped by the pooling: cutting them off would copy.
        time, width = inputs.shape[1], self.kernel_size[0]
        pools = min(-(-time // self.pool_size), self.windows // self.pool_size)
        time = pools * self.pool_size + width - 1
        inputs = _pad_end(inputs, time)
        match keras.backend.backend():
            case "jax":
                maxima = _max_by_reshape(ops.conv(inputs[:, :time], self.kernel), self.pool_size)
            case "torch":
                maxima = self._channels_last_maxima(inputs)
            case _:
                windows, size = ops.conv(inputs, self.kernel), (self.pool_size,)
                maxima = ops.max_pool(windows, size, size)
        maxima = _pad_end(maxima, self.windows // self.pool_size)
        return ops.relu(ops.add(maxima, self.bias))

    def _channels_last_maxima(self, x: Any) -> Any:
        size = (1, self.pool_size)
        x = _channels_last_windows(x, self.kernel)
        x = ops.max_pool(x, size, size, data_format="channels_first")
        return ops.transpose(ops.squeeze(x, 2), (0, 2, 1))

    def compute_output_shape(self, input_shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return (examples, pools, filters)."""
        return input_shape[0], self.windows // self.pool_size, self.filters

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "pool_size": self.pool_size, "windows": self.windows}


@keras.saving.register_keras_serializable("research")
class Conv1D(layers.Conv1D):
    """Keras's layer, without its copies on PyTorch."""

    def call(self, inputs: Any) -> Any:
        """Take float[examples, time, channels]; return float[examples, windows, filters]."""
        if keras.backend.backend() != "torch":
            return super().call(inputs)
        if self.padding == "same":
            before, after = (self.kernel_size[0] - 1) // 2, self.kernel_size[0] // 2
            inputs = ops.pad(inputs, [[0, 0], [before, after], [0, 0]])
        windows = _channels_last_windows(inputs, self.kernel)
        windows = ops.transpose(ops.squeeze(windows, 2), (0, 2, 1))
        return self.activation(ops.add(windows, self.bias))


def _channels_last_windows(x: Any, kernel: Any) -> Any:
    """Convolve on PyTorch; return float[examples, filters, 1, time], with filters last in memory.

    PyTorch has a channels-last layout for two-dimensional convolutions only. Transposing our array
    gives that layout without a copy. Told that the channels come last, Keras would copy the array
    to the other layout and back.

    Args:
      x: float[examples, time, channels].
      kernel: float[width, channels, filters].
    """
    x = ops.transpose(ops.expand_dims(x, 1), (0, 3, 1, 2))
    return ops.conv(x, ops.expand_dims(kernel, 0), data_format="channels_first")


def _pad_end(x: Any, time: int) -> Any:
    missing = time - x.shape[1]
    return ops.pad(x, [[0, 0], [0, missing], [0, 0]]) if missing > 0 else x


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
