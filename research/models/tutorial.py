"""The network of the Keras tutorial."""

import keras
import numpy as np
from keras import layers

from research.models.layers import PooledConv1D, embedding_layer, logits_layer
from research.models.options import ModelOptions
from research.models.randomness import Dropout, GlorotUniform


class TutorialCNN(keras.Model):
    """The network of the Keras tutorial "Using pre-trained word embeddings".

    https://keras.io/examples/nlp/pretrained_word_embeddings/ (François Chollet, 2020). With 20,000
    words, 100 dimensions and 20 classes it has 2,247,516 parameters, 2,000,200 of them frozen.
    """

    def __init__(
        self,
        embeddings: np.ndarray,
        sequence_length: int,
        classes: int,
        options: ModelOptions,
    ) -> None:
        # --- layers
        # The tutorial counts padding and [UNK] twice, so it has two rows that are never looked up.
        rows = np.pad(embeddings, ((0, 2), (0, 0)))
        embed = embedding_layer(rows, options.trainable_embeddings)
        convolutions, windows = [], sequence_length
        for block in (1, 2, 3):
            windows -= 4
            pool_size = 5 if block < 3 else windows  # the last one pools over all that is left
            convolutions.append(
                PooledConv1D(
                    128,
                    5,
                    pool_size=pool_size,
                    windows=windows,
                    kernel_initializer=GlorotUniform(options.seed, block),
                    name=f"convolution_{block}",
                )
            )
            windows //= pool_size
        hidden = layers.Dense(
            128,
            activation="relu",
            kernel_initializer=GlorotUniform(options.seed, 4),
            name="hidden",
        )
        dropout = Dropout(options.dropout, options.seed, name="dropout")

        # --- functional model
        # As long as the row of padding is frozen, it is zero, and a text may have less padding.
        length = sequence_length if options.trainable_embeddings else None
        token_ids = keras.Input((length,), dtype="int32", name="token_ids")
        x = embed(token_ids)
        for convolution in convolutions:
            x = convolution(x)
        x = dropout(hidden(layers.Flatten()(x)))
        super().__init__(token_ids, logits_layer(classes, options.seed)(x), name="tutorial")
