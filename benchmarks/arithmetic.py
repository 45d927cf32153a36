"""The least that a training step must do: its floating-point operations and its memory traffic."""

from collections.abc import Iterator
from typing import Any

import numpy as np


def training_flop(model: Any, sequence_length: int) -> int:
    """Return the floating-point operations that a step takes for one example.

    Counted are the multiplications and additions of convolutions and dense layers: forward, for the
    gradient of the weights, and for the gradient of the layer's input. Frozen embeddings need no
    gradient, so layers above them have none of their input. Left out are biases, ReLU, pooling,
    dropout, the loss and the optimizer, which are below 1% together.

    Args:
      model: a built model of `research.models`.
      sequence_length: tokens of an example.
    """
    return sum(
        2 * (3 if needs_gradient else 2) * positions * int(np.prod(layer.kernel.shape))
        for layer, positions, needs_gradient in _products(model, sequence_length)
    )


def training_bytes(
    model: Any, sequence_length: int, batch_size: int, activation_bytes: int = 4
) -> int:
    """Return the bytes that a step of a batch moves at least, between processor and memory.

    Inputs and outputs of each product are read or written once in each of its two or three
    products, as if caches were too small for them. An optimizer with one state reads each weight
    twice, writes and reads its gradient, reads and writes its state, and writes the weight, all in
    float32. Everything else is taken to happen on the way.

    Args:
      model: a built model of `research.models`.
      sequence_length: tokens of an example.
      batch_size: examples of a step.
      activation_bytes: of a number that goes from layer to layer: 2 under mixed precision.
    """
    weights = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    activations = 0
    for layer, positions, needs_gradient in _products(model, sequence_length):
        width = layer.kernel.shape[0] if layer.kernel.ndim == 3 else 1
        inputs = (positions + width - 1) * layer.kernel.shape[-2]
        outputs = positions * layer.kernel.shape[-1]
        activations += (3 if needs_gradient else 2) * inputs + 2 * outputs
    return 7 * 4 * weights + activation_bytes * batch_size * activations


def _products(model: Any, sequence_length: int) -> Iterator[tuple[Any, int, bool]]:
    """Yield layers, the positions of their windows, and whether their input needs a gradient."""
    embedding = model.get_layer("embedding")
    for layer in model.layers:
        if not hasattr(layer, "kernel"):
            continue
        is_convolution = layer.kernel.ndim == 3
        positions = getattr(layer, "windows", sequence_length) if is_convolution else 1
        reads_vectors = is_convolution and layer.name in _above_vectors(model)
        yield layer, positions, embedding.trainable or not reads_vectors


def _above_vectors(model: Any) -> list[str]:
    """Return the names of the convolutions that read the word vectors."""
    names = [layer.name for layer in model.layers if layer.name.startswith("convolution_")]
    return names[:1] if model.name == "tutorial" else names  # else they are side by side
