"""The wide part of a model: a linear classifier of token ids, fitted in closed form.

Its features are the TF-IDF of words, the TF-IDF of pairs of neighbouring words, and the mean of the
word vectors. Vectors are what short texts need, which share few words. The mean of vectors is
linear in the words, so what is fitted becomes one weight for each word, pair and class.

The log-odds of each word and class are added to the ridge regression. The regression is better for
classes with many texts, the log-odds for rare words.
"""

from typing import Literal, NamedTuple

import numpy as np
import scipy  # loads its parts when they are used

from research.models import ridge

MOST_COUNTS = 64
"""A word counts at most this often in a text; a power of two."""

PAIR_PLACES = 131_071
"""Pairs of words share this many weights, found by a hash; a prime."""
PAIR_FACTOR = 4_099
"""Of the hash. Times the largest vocabulary, 2**19, it is below 2**31."""

# Chosen by cross-validation within the train splits (results/LOG.md). Pairs and vectors count so
# much where single tokens count 1. Characters say less than pairs of them, which are nearly words.
_PAIRS = {"whitespace": 0.3, "character": 3.0}
_VECTORS = 0.3
_ODDS, _SMOOTHING = 0.07, 10_000.0
_PENALTIES = (0.1, 0.3, 1.0)

_MOST_LEFT_OUT = 4_000  # texts of which the penalty is chosen; time grows with the cube
_FREQUENT = 0.05  # of these texts; only speed depends on it

_SPECIAL = 2  # padding and [UNK] are no words


class LinearClassifier(NamedTuple):
    """A linear classifier. A score is about 1 for the class of a text, and -1 for the others.

    Scores are the TF-IDF of a text's words times `weights`, plus the TF-IDF of its pairs of words
    times `pair_weights`, plus `bias`.

    Attributes:
      idf: float32[vocabulary_size], zero for padding and [UNK].
      weights: float32[vocabulary_size, classes].
      pair_idf: float32[PAIR_PLACES + 1], zero for what is no pair.
      pair_weights: float32[PAIR_PLACES + 1, classes].
      bias: float32[classes].
    """

    idf: np.ndarray
    weights: np.ndarray
    pair_idf: np.ndarray
    pair_weights: np.ndarray
    bias: np.ndarray


class _Features(NamedTuple):
    """Features of texts.

    Attributes:
      sparse: float64[examples, words + pairs].
      dense: float64[examples, embedding_dim].
      square: of the length of a text's features, on average.
    """

    sparse: "scipy.sparse.csr_matrix"
    dense: np.ndarray
    square: float


def fit(
    token_ids: np.ndarray,
    labels: np.ndarray,
    classes: int,
    embeddings: np.ndarray,
    split: Literal["whitespace", "character"] = "whitespace",
    class_weights: np.ndarray | None = None,
) -> LinearClassifier:
    """Fit the classifier to texts of token ids.

    Args:
      token_ids: int32[examples, sequence_length].
      labels: int32[examples].
      classes: above every label.
      embeddings: float[vocabulary_size, embedding_dim], zero where a word has no vector.
      split: where texts were split into tokens; pairs of characters count more than pairs of words.
      class_weights: float[classes], how much a text counts in the regression; None for 1.

    Raises:
      ValueError: all labels are the same.
    """
    if len(np.unique(labels)) < 2:
        raise ValueError(
            f"expected texts of at least two classes, received {len(labels)} texts of one class; "
            "add texts of another class"
        )
    vocabulary_size = len(embeddings)
    word_counts = _counts(np.where(token_ids < _SPECIAL, 0, token_ids), vocabulary_size)
    words, idf = _tfidf(word_counts)
    pairs, pair_idf = _tfidf(_counts(pair_ids(token_ids), PAIR_PLACES + 1))
    directions = _directions(embeddings)
    vectors = words @ directions
    # So that a text's vectors count as much as its words, whose squares add up to 1.
    length = np.sqrt((vectors**2).sum(axis=1).mean())
    directions = directions / length if length else directions
    of_a_pair = np.sqrt(_PAIRS[split])
    features = _Features(
        sparse=scipy.sparse.hstack([words, of_a_pair * pairs]).tocsr(),
        dense=np.sqrt(_VECTORS) * (words @ directions),
        square=1 + _PAIRS[split] + _VECTORS,
    )
    text_weights = None if class_weights is None else class_weights[labels]
    coefficients, bias = _regression(features, labels, classes, text_weights)

    of_words = coefficients[:vocabulary_size]
    of_pairs, of_vectors = np.split(coefficients[vocabulary_size:], [PAIR_PLACES + 1])
    weights = of_words + np.sqrt(_VECTORS) * directions @ of_vectors
    weights += (
        _ODDS * log_odds(np.eye(classes)[labels].T @ scipy.sparse.csr_matrix(word_counts > 0)).T
    )
    weights[idf == 0] = 0
    return LinearClassifier(
        idf.astype("float32"),
        weights.astype("float32"),
        pair_idf.astype("float32"),
        (of_a_pair * of_pairs).astype("float32"),
        bias.astype("float32"),
    )


def scores(classifier: LinearClassifier, token_ids: np.ndarray) -> np.ndarray:
    """Return the score of each class, float64[examples, classes], without Keras.

    `research.models.expert_layers.LinearScores` computes the same.

    Args:
      classifier: from `fit`.
      token_ids: int32[examples, sequence_length].
    """
    words = _counts(np.where(token_ids < _SPECIAL, 0, token_ids), len(classifier.idf))
    pairs = _counts(pair_ids(token_ids), PAIR_PLACES + 1)
    of_words = _weighted(words, classifier.idf) @ classifier.weights
    of_pairs = _weighted(pairs, classifier.pair_idf) @ classifier.pair_weights
    found: np.ndarray = of_words + of_pairs + classifier.bias
    return found


def _weighted(counts: "scipy.sparse.csr_matrix", idf: np.ndarray) -> "scipy.sparse.csr_matrix":
    """Return (1 + ln count) * idf with each text scaled to length 1, like `_tfidf`."""
    tfidf = counts.copy()
    tfidf.data = (1 + np.log(counts.data)) * idf[counts.indices]
    length = np.sqrt(np.asarray(tfidf.multiply(tfidf).sum(axis=1)).ravel())
    tfidf.data /= np.repeat(np.where(length == 0, 1, length), np.diff(tfidf.indptr))
    return tfidf


def pair_ids(token_ids: np.ndarray) -> np.ndarray:
    """Return the places of pairs of neighbouring words, int32[examples, sequence_length].

    The last place of a text and pairs with [UNK] or padding are 0.

    Args:
      token_ids: int32[examples, sequence_length].
    """
    first = np.asarray(token_ids, "int32")
    second = np.pad(first[:, 1:], [(0, 0), (0, 1)])
    places = 1 + (first * PAIR_FACTOR + second) % PAIR_PLACES
    return np.where((first < _SPECIAL) | (second < _SPECIAL), 0, places)


def _counts(ids: np.ndarray, size: int) -> "scipy.sparse.csr_matrix":
    """Return how often each text has each id above 0, float64[examples, size].

    Counts are rounded down to powers of two, and end at `MOST_COUNTS`.
    """
    rows, columns = np.nonzero(ids)
    counts = scipy.sparse.csr_matrix(
        (np.ones(len(rows)), (rows, ids[rows, columns])), shape=(len(ids), size)
    )
    counts.sum_duplicates()
    counts.data = 2 ** np.floor(np.log2(np.minimum(counts.data, MOST_COUNTS)))
    return counts


def _tfidf(
    counts: "scipy.sparse.csr_matrix",
) -> "tuple[scipy.sparse.csr_matrix, np.ndarray]":
    """Return (1 + ln count) * idf with each text scaled to length 1, and the idf.

    The idf of ids that no text has is 0.
    """
    from sklearn.feature_extraction.text import TfidfTransformer  # lazily: it takes seconds

    transformer = TfidfTransformer(sublinear_tf=True).fit(counts)
    is_known = np.asarray((counts > 0).sum(axis=0)).ravel() > 0
    return transformer.transform(counts), np.where(is_known, transformer.idf_, 0)


def _directions(embeddings: np.ndarray) -> np.ndarray:
    """Return the vectors less their mean, each of length 1; words without a vector have zeros."""
    has_vector = np.any(embeddings != 0, axis=1, keepdims=True)
    mean = embeddings.sum(axis=0) / max(1, has_vector.sum())
    centred = np.where(has_vector, embeddings - mean, 0).astype("float64")
    lengths = np.linalg.norm(centred, axis=1, keepdims=True)
    directions: np.ndarray = centred / np.where(lengths == 0, 1, lengths)
    return directions


def _regression(
    features: _Features, labels: np.ndarray, classes: int, text_weights: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Fit ridge regression to targets of 1 and -1.

    Returns:
      The coefficients, float64[features, classes], and the intercepts, float64[classes]. A class
      without a text has -1 as its score for any text.
    """
    # The features are as if scaled to a mean square of 1.
    penalty = features.square * _best_penalty(features, labels)
    dense = scipy.sparse.csr_matrix(features.dense)
    together = scipy.sparse.hstack([features.sparse, dense]).tocsr()
    present, places = np.unique(labels, return_inverse=True)
    targets = 2 * np.eye(len(present))[places] - 1
    if len(present) == 2:  # the scores of the first are those of the second, negated
        targets = targets[:, 1:]
    found, intercepts = ridge.fit(together, targets, penalty, text_weights)
    if len(present) == 2:
        found, intercepts = np.vstack([-found, found]), np.concatenate([-intercepts, intercepts])
    coefficients, bias = np.zeros((found.shape[1], classes)), np.full(classes, -1.0)
    coefficients[:, present], bias[present] = found.T, intercepts
    return coefficients, bias


def _best_penalty(features: _Features, labels: np.ndarray) -> float:
    """Return the penalty with the least squared error, each text predicted from all others.

    Ridge regression has the leave-one-out error in closed form: of the weight a_i of a text and
    the i-th element of the inverse's diagonal, it is a_i / d_i. Rifkin and Lippert 2007, "Notes on
    Regularized Least Squares", http://hdl.handle.net/1721.1/37318.
    """
    drawn = np.random.default_rng(0).permutation(len(labels))[:_MOST_LEFT_OUT]
    sparse, dense = features.sparse[drawn], features.dense[drawn].astype("float32")
    # Dense products are quicker for what many texts have, and sparse ones for the rest.
    by_column = sparse.tocsc()
    is_frequent = np.diff(by_column.indptr) > _FREQUENT * len(drawn)
    frequent = by_column[:, is_frequent].toarray().astype("float32")
    rare = by_column[:, ~is_frequent].tocsr()
    products = (rare @ rare.T).toarray().astype("float32")
    products += frequent @ frequent.T + dense @ dense.T
    products /= features.square
    targets = 2 * np.eye(labels.max() + 1, dtype="float32")[labels[drawn]] - 1
    targets -= targets.mean(axis=0)

    def error(penalty: float) -> float:
        # The inverse is the product of half and its transpose. Its diagonal needs no more.
        lower = scipy.linalg.cholesky(
            products + penalty * np.eye(len(drawn), dtype="float32"), lower=True
        )
        half, _ = scipy.linalg.lapack.strtri(lower, lower=1, overwrite_c=1)
        diagonal = np.einsum("ij,ij->j", half, half)
        left_out = half.T @ (half @ targets) / diagonal[:, None]
        return float((left_out**2).mean())

    return min(_PENALTIES, key=error)


def log_odds(texts: np.ndarray) -> np.ndarray:
    """Return log p(word | class) / p(word), float64[classes, words].

    Dirichlet smoothing pulls p(word | class) towards p(word), so that a word that is missing from a
    small class says little. Zhai and Lafferty 2004, doi:10.1145/984321.984322.

    Args:
      texts: float64[classes, words], how many texts of the class have the word.
    """
    of_class = texts.sum(axis=1, keepdims=True)
    share = np.maximum(texts.sum(axis=0) / of_class.sum(), 1e-12)
    odds: np.ndarray = np.log((texts + _SMOOTHING * share) / (of_class + _SMOOTHING) / share)
    return odds
