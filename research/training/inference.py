"""Probabilities from token ids, on any backend."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import scipy  # loads its parts when they are used
from keras import ops


def predict_probabilities(
    model: keras.Model, token_ids: np.ndarray, batch_size: int = 256
) -> np.ndarray:
    """Return the probability of each class, float32[examples, classes].

    Args:
      model: maps token ids to logits. If its input has the length None, padding makes no
        difference, and most of it is left out.
      token_ids: int32[examples, sequence_length], at least one.
      batch_size: examples at a time.
    """
    forward = _compiled_forward(model)
    examples, sequence_length = token_ids.shape
    lengths = np.full(examples, sequence_length)
    if model.input_shape[1] is None:
        lengths = sequence_length - (token_ids[:, ::-1] != 0).argmax(axis=1)
    order = np.argsort(lengths, kind="stable")
    logits = []
    for start in range(0, examples, batch_size):
        batch = order[start : start + batch_size]
        # Each new shape is compiled, so there are few: lengths in eighths, texts in powers of two.
        eighths = -(-8 * int(lengths[batch].max()) // sequence_length)
        longest = -(-eighths * sequence_length // 8)
        rows = min(batch_size, 1 << (len(batch) - 1).bit_length())
        x = np.zeros((rows, longest), "int32")
        x[: len(batch)] = token_ids[batch, :longest]
        logits.append((batch, forward(ops.convert_to_tensor(x))))
    probabilities = np.empty((examples, model.output_shape[-1]), "float32")
    for batch, of_batch in logits:
        probabilities[batch] = scipy.special.softmax(
            ops.convert_to_numpy(of_batch)[: len(batch)], axis=-1
        )
    return probabilities


def _compiled_forward(model: keras.Model) -> Callable[[Any], Any]:
    """Return `token_ids -> logits` without dropout, compiled once for each model."""
    if not hasattr(model, "compiled_forward"):
        model.compiled_forward = _compile_forward(model)
    forward: Callable[[Any], Any] = model.compiled_forward
    return forward


def _compile_forward(model: keras.Model) -> Callable[[Any], Any]:
    match keras.backend.backend():
        case "jax":
            import jax

            forward = jax.jit(lambda *values: model.stateless_call(*values, training=False)[0])
            return lambda x: forward(
                [v.value for v in model.trainable_variables],
                [v.value for v in model.non_trainable_variables],
                x,
            )
        case "tensorflow":
            import tensorflow as tf

            # TensorFlow warns if a function is traced often, so there is one for each shape.
            @functools.cache
            def graph(shape: tuple[int, ...]) -> Callable[[Any], Any]:
                traced = tf.function(lambda x: model(x, training=False), autograph=False)
                concrete: Callable[[Any], Any] = traced.get_concrete_function(
                    tf.TensorSpec(shape, tf.int32)
                )
                return concrete

            return lambda x: graph(tuple(x.shape))(x)
        case _:
            import torch

            def forward(x: Any) -> Any:
                with torch.inference_mode():
                    return model(x, training=False)

            return forward
