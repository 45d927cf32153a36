"""The code of the Keras tutorial as it is written, to measure against.

https://keras.io/examples/nlp/pretrained_word_embeddings/ (François Chollet, 2020). It takes texts
as one array of strings, whose width is that of the longest, and the dense labels as they are.
"""

from typing import Any

import keras
import numpy as np
from keras import layers


def network(embedding_matrix: np.ndarray, classes: int) -> keras.Model:
    """Returns the compiled network, from token ids, int[examples, any length], to probabilities.

    Args:
      embedding_matrix: float32[words, embedding_dim]; two more rows are added, as in the tutorial.
      classes: how many.
    """
    num_tokens, embedding_dim = len(embedding_matrix) + 2, embedding_matrix.shape[1]
    embedding_layer = layers.Embedding(num_tokens, embedding_dim, trainable=False)
    embedding_layer.build((1,))
    embedding_layer.set_weights([np.pad(embedding_matrix, ((0, 2), (0, 0)))])

    int_sequences_input = keras.Input(shape=(None,), dtype="int32")
    embedded_sequences = embedding_layer(int_sequences_input)
    x = layers.Conv1D(128, 5, activation="relu")(embedded_sequences)
    x = layers.MaxPooling1D(5)(x)
    x = layers.Conv1D(128, 5, activation="relu")(x)
    x = layers.MaxPooling1D(5)(x)
    x = layers.Conv1D(128, 5, activation="relu")(x)
    x = layers.GlobalMaxPooling1D()(x)
    x = layers.Dense(128, activation="relu")(x)
    x = layers.Dropout(0.5)(x)
    preds = layers.Dense(classes, activation="softmax")(x)
    model = keras.Model(int_sequences_input, preds)
    model.compile(loss="sparse_categorical_crossentropy", optimizer="rmsprop", metrics=["acc"])
    return model


def token_ids(samples: list[str], max_tokens: int, sequence_length: int) -> np.ndarray:
    """Learns a vocabulary and returns int64[samples, sequence_length]; needs TensorFlow's backend.

    Args:
      samples: the texts.
      max_tokens: of the vocabulary.
      sequence_length: tokens kept of a text.
    """
    import tensorflow as tf

    vectorizer: Any = layers.TextVectorization(
        max_tokens=max_tokens, output_sequence_length=sequence_length
    )
    text_ds = tf.data.Dataset.from_tensor_slices(samples).batch(128)
    vectorizer.adapt(text_ds)
    result: np.ndarray = vectorizer(np.array([[s] for s in samples])).numpy()
    return result
