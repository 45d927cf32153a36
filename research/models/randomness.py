"""Initial weights and dropout masks that a seed makes the same on every backend."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops


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
