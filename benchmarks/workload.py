"""What is timed: the texts and the network.

The texts are those of the train split of `news20-bydate`. With 50 dimensions the word vectors are
`glove.6B.50d`. With any other number they are random, since the time of a step does not depend on
their values.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.points import BASE, Point
from research.data import corpora, tokens, word_vectors
from research.data.corpora import CorpusSource
from research.models import registry
from research.models.options import ModelOptions

if TYPE_CHECKING:
    import keras

VOCABULARY_SIZE = 20_000
EPOCH_EXAMPLES = 5_120
"""Examples of a timed epoch, 40 steps of 128. The whole train split would take twice as long."""
TOKENIZED_TEXTS = 2_000
"""Texts that are tokenized. The tutorial's own code needs 10 GB of memory for 16,000 posts."""

_GLOVE_DIM = 50


@dataclass(frozen=True, eq=False)
class Workload:
    """The data of a benchmark, which is read before any clock starts.

    Attributes:
      texts: those of the train split.
      token_ids: int32[examples, sequence_length] of these texts, mapped from a file.
      labels: int32[examples].
      new_texts: those of the validation split, for inference.
      new_token_ids: int32[texts, sequence_length] of the new texts.
      vocabulary: the words; a token id is an index into it.
      class_names: a label is an index into it.
      matrix: float32[words, embedding_dim], a vector for each word.
      point: the sizes.
      epoch_examples: examples of a timed epoch, which are the first ones.
      description: what the record says about all this, as JSON values.
    """

    texts: list[str]
    token_ids: np.ndarray
    labels: np.ndarray
    new_texts: list[str]
    new_token_ids: np.ndarray
    vocabulary: list[str]
    class_names: list[str]
    matrix: np.ndarray
    point: Point
    epoch_examples: int
    description: dict[str, Any]


def load(point: Point = BASE, is_tiny: bool = False) -> Workload:
    """Read the corpus, or generate a tiny one to see that everything runs.

    A tiny one has the model and the dimensions of the point, and small sizes otherwise.

    Raises:
      ValueError: a size is below 1, or texts are too short for the model.
      OSError: the corpus or the vectors cannot be downloaded.
      ModuleNotFoundError: the token ids are not in the cache, and TensorFlow is not installed.
    """
    if point.embedding_dim < 1:
        raise ValueError(
            f"expected an embedding_dim of 1 or more, received {point.embedding_dim}; "
            f"use {_GLOVE_DIM}, or 100 as the tutorial does"
        )
    if point.batch_size < 1:
        raise ValueError(f"expected a batch_size of 1 or more, received {point.batch_size}")
    registry.check(point.model, point.sequence_length)
    return _random_words(point) if is_tiny else _newsgroups(point)


def _newsgroups(point: Point) -> Workload:
    corpus = corpora.load(CorpusSource("news20-bydate"))
    train, validation = corpus.splits["train"], corpus.splits["validation"]
    vocabulary = tokens.learn_vocabulary(train.texts, VOCABULARY_SIZE)
    if point.embedding_dim == _GLOVE_DIM:
        vectors = f"glove.6B.{_GLOVE_DIM}d"
        matrix, _ = word_vectors.embedding_matrix(word_vectors.load_vectors(vectors), vocabulary)
    else:
        vectors = "random normal"
        matrix = random_vectors(len(vocabulary), point.embedding_dim)
    return Workload(
        train.texts,
        tokens.encode_cached(train.texts, vocabulary, point.sequence_length),
        train.labels,
        validation.texts,
        tokens.encode_cached(validation.texts, vocabulary, point.sequence_length),
        vocabulary,
        corpus.class_names,
        matrix,
        point,
        EPOCH_EXAMPLES,
        {
            "corpus": corpus.name,
            "corpus_digest": corpus.digest,
            "training_examples": len(train.texts),
            "epoch_examples": EPOCH_EXAMPLES,
            "vectors": vectors,
            "embedding_dim": point.embedding_dim,
            "vocabulary_size": len(vocabulary),
            "sequence_length": point.sequence_length,
            "batch_size": point.batch_size,
        },
    )


def _random_words(point: Point) -> Workload:
    """Return texts of random words. They need no file and no TensorFlow, and take seconds."""
    words, sequence_length, examples, batch_size = 100, 150, 64, 16
    point = replace(point, sequence_length=sequence_length, batch_size=batch_size)
    generator = np.random.default_rng(0)
    vocabulary = [*tokens.SPECIAL_WORDS, *(f"w{number}" for number in range(2, words))]
    token_ids = generator.integers(2, words, (examples, sequence_length), dtype="int32")
    texts = [" ".join(vocabulary[i] for i in row) for row in token_ids]
    return Workload(
        texts,
        token_ids,
        np.arange(examples, dtype="int32") % 3,
        texts[:20],
        token_ids[:20],
        vocabulary,
        ["a", "b", "c"],
        random_vectors(words, point.embedding_dim),
        point,
        examples,
        {
            "corpus": "made up: random words, to try the suite",
            "corpus_digest": None,
            "training_examples": examples,
            "epoch_examples": examples,
            "vectors": "random normal",
            "embedding_dim": point.embedding_dim,
            "vocabulary_size": words,
            "sequence_length": sequence_length,
            "batch_size": batch_size,
        },
    )


def random_vectors(words: int, embedding_dim: int) -> np.ndarray:
    """Return float32[words, embedding_dim]: zeros for padding and [UNK], normal for other words.

    The standard deviation is that of GloVe's vectors.
    """
    vectors = np.random.default_rng(0).normal(0, 0.4, (words, embedding_dim)).astype("float32")
    vectors[: len(tokens.SPECIAL_WORDS)] = 0
    return vectors


def network(workload: Workload, dropout: float = 0.5, precision: str = "float32") -> "keras.Model":
    """Return our model for these data, with its initial weights. Imports Keras.

    Word vectors are frozen, but those of `wide-deep` are fine-tuned, as the experiments do it.
    """
    model, classes = workload.point.model, len(workload.class_names)
    options = ModelOptions(
        trainable_embeddings=model == "wide-deep", dropout=dropout, precision=precision
    )
    sequence_length = workload.token_ids.shape[1]
    return registry.build(model, workload.matrix, sequence_length, classes, options)
