"""The network of Kim 2014."""

import keras
import numpy as np
from keras import layers, ops

from research.models.layers import embedding_layer, logits_layer
from research.models.options import ModelOptions
from research.models.randomness import Dropout, GlorotUniform

_WIDTHS = (3, 4, 5)
_FILTERS = 100


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
            layers.Conv1D(
                _FILTERS,
                width,
                activation="relu",
                kernel_initializer=GlorotUniform(options.seed, width),
                name=f"convolution_{width}",
            )
            for width in _WIDTHS
        ]
        dropout = Dropout(options.dropout, options.seed, name="dropout")

        # --- functional model
        token_ids = keras.Input((None,), dtype="int32", name="token_ids")
        x = embed(token_ids)
        is_word = ops.expand_dims(ops.cast(ops.not_equal(token_ids, 0), x.dtype), -1)
        x = ops.multiply(x, is_word)  # training may change the row of padding
        maxima = []
        for width, convolution in zip(_WIDTHS, convolutions, strict=True):
            # As in Kim's own code, a window may begin with the last word. Windows that begin with
            # padding are set to zero, and after ReLU a zero never wins the maximum.
            windows = convolution(ops.pad(x, [[0, 0], [0, width - 1], [0, 0]]))
            maxima.append(ops.max(ops.multiply(windows, is_word), axis=1))
        x = dropout(ops.concatenate(maxima, axis=-1))
        super().__init__(token_ids, logits_layer(classes, options.seed)(x), name="kim")
