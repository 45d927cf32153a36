"""The models, from Keras layers and `keras.ops` alone.

Every model maps token ids, int32[examples, sequence_length] with 0 for padding, to logits,
float32[examples, classes]. Everything random in it, initial weights and dropout, comes from the
seed and is the same on every backend.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from research.layers import (
    Dropout,
    Embedding,
    GlorotUniform,
    MeanOfExperts,
    PooledConv1D,
    TfidfLogits,
    WordDropout,
)
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


def _embedding(embeddings: np.ndarray, trainable: bool) -> Embedding:
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
