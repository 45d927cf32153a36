"""The network of Kim 2014."""

import keras
import numpy as np
from keras import ops

from research.models.layers import Conv1D, embedding_layer, logits_layer
from research.models.options import ModelOptions
from research.models.randomness import Dropout, GlorotUniform

_WIDTHS = (3, 4, 5)
_FILTERS = 100
_LOWEST = -1e30  # below every window, and finite, as some formats of export need it


class KimCNN(keras.Model):
    """Convolutions of several widths side by side, with max pooling over time.

    Kim 2014, "Convolutional Neural Networks for Sentence Classification",
    https://aclanthology.org/D14-1181: widths 3, 4 and 5 with 100 filters each. Padding is masked,
    so the logits of a text do not depend on how far it is padded.
    """

    def __init__(
        self,
        embeddings: np.ndarray,
        sequence_length: int,
        classes: int,
        options: ModelOptions,
    ) -> None:
        # --- layers
        embed = embedding_layer(embeddings, options.trainable_embeddings)
        convolutions = [
            Conv1D(
                _FILTERS,
                width,
                kernel_initializer=GlorotUniform(options.seed, width),
                name=f"convolution_{width}",
            )
            for width in _WIDTHS
        ]
        dropout = Dropout(options.dropout, options.seed, name="dropout")

        # --- functional model
        token_ids = keras.Input((None,), dtype="int32", name="token_ids")
        x = embed(token_ids)
        is_word = ops.expand_dims(ops.not_equal(token_ids, 0), -1)
        x = ops.multiply(x, ops.cast(is_word, x.dtype))  # training may change the row of padding
        maxima = []
        for width, convolution in zip(_WIDTHS, convolutions, strict=True):
            # As in Kim's own code, a window may begin with the last word, but not with padding.
            # ReLU is monotonic, so it follows the maximum, where one value of each filter is left.
            windows = convolution(ops.pad(x, [[0, 0], [0, width - 1], [0, 0]]))
            maxima.append(ops.relu(ops.max(ops.where(is_word, windows, _LOWEST), axis=1)))
        x = dropout(ops.concatenate(maxima, axis=-1))
        super().__init__(token_ids, logits_layer(classes, options.seed)(x), name="kim")
