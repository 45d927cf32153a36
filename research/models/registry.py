"""The models by name. Nothing here imports Keras before a model is built."""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from research.models.linear import LinearClassifier
from research.models.options import ModelOptions
from research.processes.choices import choose

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class ModelEntry:
    """What is known about a model before it is built.

    Attributes:
      title: its name in tables.
      module: the module of this package that holds the class.
      class_name: the name of the class.
      minimum_sequence_length: fewest tokens with which every convolution has a whole window.
      any_length: whether padding makes no difference, so that batches may be of any length.
      has_linear_part: whether it joins a linear classifier, which is fitted in closed form, with a
        network, as two experts.
    """

    title: str
    module: str
    class_name: str
    minimum_sequence_length: int = 1
    any_length: bool = True
    has_linear_part: bool = False


MODELS = {
    "tutorial": ModelEntry(
        title="CNN of the tutorial",
        module="research.models.tutorial",
        class_name="TutorialCNN",
        # Three convolutions of width 5, with pooling by 5 after the first two: (5 * 5 + 4) * 5 + 4.
        minimum_sequence_length=149,
        any_length=False,
    ),
    "kim": ModelEntry(title="CNN of Kim 2014", module="research.models.kim", class_name="KimCNN"),
    "wide-deep": ModelEntry(
        title="wide & deep CNN",
        module="research.models.wide_deep",
        class_name="WideAndDeepCNN",
        has_linear_part=True,
    ),
}
"""What `--model` takes."""


def check(name: str, sequence_length: int) -> None:
    """Check that there is a model `name` and that it can take texts of this length.

    Raises:
      ValueError: there is no such model, or the length is too short for it.
    """
    minimum = MODELS[choose("the model", name, MODELS)].minimum_sequence_length
    if sequence_length < minimum:
        raise ValueError(
            f"expected a sequence length of {minimum} or more, which the convolutions of the model "
            f"{name!r} need, received {sequence_length}; "
            f"use --sequence-length {minimum} or another --model"
        )


def build(
    name: str,
    embeddings: np.ndarray,
    sequence_length: int,
    classes: int,
    options: ModelOptions = ModelOptions(),  # noqa: B008  (frozen)
    linear_part: LinearClassifier | None = None,
) -> "keras.Model":
    """Return the model `name` with its initial weights.

    It maps token ids, int32[examples, sequence_length] with 0 for padding, to logits,
    float32[examples, classes]. Initial weights and dropout masks come from the seed and are the
    same on every backend.

    Args:
      name: a key of `MODELS`.
      embeddings: float32[vocabulary_size, embedding_dim], a row for each token id.
      sequence_length: tokens of a text.
      classes: the number of classes.
      options: of the model.
      linear_part: from `linear.fit`, for a model that has one. None gives weights of zero, for a
        model whose weights are loaded afterwards.

    Raises:
      ValueError: as in `check`.

    Example:
      model = build("kim", np.zeros((20_000, 100), "float32"), sequence_length=200, classes=20)
    """
    check(name, sequence_length)
    import keras  # only here, so that the backend can be selected before

    entry = MODELS[name]
    make = getattr(importlib.import_module(entry.module), entry.class_name)
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(options.precision or policy)
        parts = {"linear_part": linear_part} if entry.has_linear_part else {}
        model: keras.Model = make(embeddings, sequence_length, classes, options, **parts)
    finally:
        keras.config.set_dtype_policy(policy)
    return model
