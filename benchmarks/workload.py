"""What is timed: the texts, the network, and the arithmetic that a step of it takes.

The network is the tutorial's, `research.models.tutorial.TutorialCNN`, on the train split of
`news20-bydate`. With 50 dimensions its vectors are `glove.6B.50d`. With any other number they are
random, since the time of a step does not depend on their values.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from research.data import corpora, tokens, word_vectors
from research.data.corpora import CorpusSource
from research.models import registry
from research.models.options import ModelOptions

if TYPE_CHECKING:
    import keras

BATCH_SIZE = 128
VOCABULARY_SIZE = 20_000
SEQUENCE_LENGTH = 200
EPOCH_EXAMPLES = 5_120
"""Examples of a timed epoch, 40 steps. The whole train split would take twice as long."""
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
      batch_size: examples of a step.
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
    batch_size: int
    epoch_examples: int
    description: dict[str, Any]


def load(embedding_dim: int, is_tiny: bool) -> Workload:
    """Read the corpus, or generate a tiny one to see that everything runs.

    Raises:
      ValueError: `embedding_dim` is below 1.
      OSError: the corpus or the vectors cannot be downloaded.
      ModuleNotFoundError: the token ids are not in the cache, and TensorFlow is not installed.
    """
    if embedding_dim < 1:
        raise ValueError(
            f"expected an embedding_dim of 1 or more, received {embedding_dim}; "
            f"use {_GLOVE_DIM}, or 100 as the tutorial does"
        )
    return _random_words(embedding_dim) if is_tiny else _newsgroups(embedding_dim)


def _newsgroups(embedding_dim: int) -> Workload:
    corpus = corpora.load(CorpusSource("news20-bydate"))
    train, validation = corpus.splits["train"], corpus.splits["validation"]
    vocabulary = tokens.learn_vocabulary(train.texts, VOCABULARY_SIZE)
    if embedding_dim == _GLOVE_DIM:
        vectors = f"glove.6B.{_GLOVE_DIM}d"
        matrix, _ = word_vectors.embedding_matrix(word_vectors.load_vectors(vectors), vocabulary)
    else:
        vectors = "random normal"
        matrix = random_vectors(len(vocabulary), embedding_dim)
    return Workload(
        train.texts,
        tokens.encode_cached(train.texts, vocabulary, SEQUENCE_LENGTH),
        train.labels,
        validation.texts,
        tokens.encode_cached(validation.texts, vocabulary, SEQUENCE_LENGTH),
        vocabulary,
        corpus.class_names,
        matrix,
        BATCH_SIZE,
        EPOCH_EXAMPLES,
        {
            "corpus": corpus.name,
            "corpus_digest": corpus.digest,
            "training_examples": len(train.texts),
            "epoch_examples": EPOCH_EXAMPLES,
            "vectors": vectors,
            "embedding_dim": embedding_dim,
            "vocabulary_size": len(vocabulary),
            "sequence_length": SEQUENCE_LENGTH,
            "batch_size": BATCH_SIZE,
        },
    )


def _random_words(embedding_dim: int) -> Workload:
    """Return texts of random words. They need no file and no TensorFlow, and take seconds."""
    words, sequence_length, examples, batch_size = 100, 150, 64, 16
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
        random_vectors(words, embedding_dim),
        batch_size,
        examples,
        {
            "corpus": "made up: random words, to try the suite",
            "corpus_digest": None,
            "training_examples": examples,
            "epoch_examples": examples,
            "vectors": "random normal",
            "embedding_dim": embedding_dim,
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
    """Return our model for these data, with its initial weights. Imports Keras."""
    sequence_length, classes = workload.token_ids.shape[1], len(workload.class_names)
    options = ModelOptions(dropout=dropout, precision=precision)
    return registry.build("tutorial", workload.matrix, sequence_length, classes, options)


def training_flop(model: Any) -> int:
    """Return the floating-point operations that a step takes for one example.

    Counted are the multiplications and additions of convolutions and dense layers: forward, for the
    gradient of the weights, and for the gradient of the layer's input. The first layer has no
    gradient of its input, since the embedding below it is frozen. Left out are biases, ReLU,
    pooling, dropout, the loss and the optimizer, which are below 1% together.

    Args:
      model: has `PooledConv1D` and dense layers, one after the other.
    """
    flop = 0
    products = 2  # of the first layer
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            positions = getattr(layer, "windows", 1)  # 1 for a dense layer
            flop += 2 * products * positions * int(np.prod(layer.kernel.shape))
            products = 3
    return flop
