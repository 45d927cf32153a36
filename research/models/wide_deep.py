"""A linear classifier beside convolutions."""

import keras
import numpy as np
from keras import ops

from research.models.expert_layers import LinearScores, ProductOfExperts
from research.models.layers import Conv1D, embedding_layer, logits_layer
from research.models.linear import PAIR_PLACES, LinearClassifier
from research.models.options import ModelOptions
from research.models.randomness import Dropout, GlorotUniform, WordDropout

_WIDTHS = (1, 3)
_FILTERS = 128
# Chosen by cross-validation within the train splits of five corpora (results/LOG.md).
_STEEPNESS = 12
_COLUMNS = 0.25  # how large the wide part's weights are beside the vectors


class WideAndDeepCNN(keras.Model):
    """A linear classifier of all words beside convolutions over the frequent ones.

    The wide part is the classifier of `research.models.linear`, frozen: each word and each pair of
    words has a weight for each class, and the weights of a text are summed by TF-IDF. The deep part
    convolves over the vectors of the most frequent words, extended by their weights in the wide
    part. It pools by the maximum and by the mean weighted with idf.

    While training, the logits are those of the deep part alone, since the wide part was fitted to
    the same texts and would leave it little to learn. Otherwise they are those of a product of both
    parts' probabilities, each to a power. Padding makes no difference.

    Cheng et al. 2016, "Wide & Deep Learning for Recommender Systems",
    https://arxiv.org/abs/1606.07792, has both parts, but trains them together.
    """

    def __init__(
        self,
        embeddings: np.ndarray,
        sequence_length: int,
        classes: int,
        options: ModelOptions,
        linear_part: LinearClassifier | None = None,
    ) -> None:
        vocabulary_size = len(embeddings)
        if linear_part is None:
            linear_part = _without_knowledge(vocabulary_size, classes)

        # --- layers
        wide = LinearScores(*linear_part, name="wide")
        word_dropout = WordDropout(options.word_dropout, options.seed, name="word_dropout")
        frequent = slice(options.deep_vocabulary_size)
        columns = _COLUMNS * linear_part.weights[frequent]
        rows = np.concatenate([embeddings[frequent], columns], axis=1)
        embed = embedding_layer(rows, options.trainable_embeddings)
        convolutions = [
            Conv1D(
                _FILTERS,
                width,
                padding="same",
                activation="relu",
                kernel_initializer=GlorotUniform(options.seed, width),
                name=f"convolution_{width}",
            )
            for width in _WIDTHS
        ]
        dropout = Dropout(options.dropout, options.seed, name="dropout")

        # --- functional model
        token_ids = keras.Input((None,), dtype="int32", name="token_ids")
        scores, idf = wide(token_ids)
        # From [-1, 1] to [0, 1] they estimate probabilities, which softplus makes positive.
        probabilities = ops.divide(ops.add(scores, 1), 2)
        wide_logits = ops.log(ops.softplus(ops.multiply(probabilities, _STEEPNESS)))
        # Token ids are ranks by frequency. For the deep part a rare word is [UNK].
        ids = token_ids[:, : options.deep_sequence_length]
        ids = ops.where(ops.less(ids, options.deep_vocabulary_size), ids, ops.ones_like(ids))
        ids = word_dropout(ids)
        x = embed(ids)
        is_word = ops.expand_dims(ops.cast(ops.not_equal(ids, 0), x.dtype), -1)
        x = ops.multiply(x, is_word)
        share = ops.expand_dims(idf[:, : options.deep_sequence_length], -1)
        share = ops.multiply(share, is_word)
        share = ops.divide(share, ops.add(ops.sum(share, axis=1, keepdims=True), 1e-6))
        pooled = []
        for convolution in convolutions:
            windows = ops.multiply(convolution(x), is_word)
            pooled += [ops.max(windows, axis=1), ops.sum(ops.multiply(windows, share), axis=1)]
        x = dropout(ops.concatenate(pooled, axis=-1))
        deep_logits = logits_layer(classes, options.seed)(x)
        logits = ProductOfExperts(name="experts")(deep_logits, wide_logits)
        super().__init__(token_ids, logits, name="wide_deep")


def _without_knowledge(vocabulary_size: int, classes: int) -> LinearClassifier:
    """Return a linear part whose scores are all 0."""
    # In float32: JAX compiles a conversion from float64 for each shape.
    return LinearClassifier(
        idf=np.ones(vocabulary_size, "float32"),
        weights=np.zeros((vocabulary_size, classes), "float32"),
        pair_idf=np.zeros(PAIR_PLACES + 1, "float32"),
        pair_weights=np.zeros((PAIR_PLACES + 1, classes), "float32"),
        bias=np.zeros(classes, "float32"),
    )
