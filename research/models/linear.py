"""A linear classifier of TF-IDF over token ids, fitted in closed form: the wide part of a model.

It adds the log-odds of each word and class to a ridge regression. The regression is better for
classes with many texts, the log-odds for rare words.
"""

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import RidgeClassifier
from sklearn.preprocessing import normalize

MOST_COUNTS = 64
"""A word counts at most this often in a text; a power of two."""

# Chosen by cross-validation within the train splits of news20, news20-bydate, r8 and r52.
RIDGE, _ODDS, _SMOOTHING, _SHARPNESS = 0.3, 0.07, 10_000.0, 5.0

_SPECIAL = 2  # padding and [UNK] are no words


class LinearClassifier(NamedTuple):
    """A linear classifier: logits are the TF-IDF of a text times `weights`, plus `bias`.

    Attributes:
      idf: float32[vocabulary_size], zero for padding and [UNK].
      weights: float32[vocabulary_size, classes].
      bias: float32[classes].
    """

    idf: np.ndarray
    weights: np.ndarray
    bias: np.ndarray


def fit(
    token_ids: np.ndarray, labels: np.ndarray, vocabulary_size: int, classes: int
) -> LinearClassifier:
    """Fit the classifier to texts of token ids.

    Args:
      token_ids: int32[examples, sequence_length].
      labels: int32[examples].
      vocabulary_size: above every token id.
      classes: above every label.

    Raises:
      ValueError: all labels are the same.
    """
    rows, columns = np.nonzero(token_ids >= _SPECIAL)
    ones = np.ones(len(rows), "float32")
    shape = (len(token_ids), vocabulary_size)
    counts = csr_matrix((ones, (rows, token_ids[rows, columns])), shape=shape)
    counts.sum_duplicates()
    classifier = fit_counts(counts, labels, classes)
    classifier.idf[:_SPECIAL] = 0
    return classifier


def fit_counts(counts: csr_matrix, labels: np.ndarray, classes: int) -> LinearClassifier:
    """Fit the classifier to counts of words.

    A text is a vector with an element (1 + ln count) * idf for each word, scaled to length 1. The
    count is rounded down to a power of two.

    Args:
      counts: number[examples, words].
      labels: int32[examples].
      classes: above every label.

    Raises:
      ValueError: all labels are the same.
    """
    if len(np.unique(labels)) < 2:
        raise ValueError(
            f"expected texts of at least two classes, received {len(labels)} texts of one class; "
            "add texts of another class"
        )
    counts = _rounded(counts)
    tfidf = TfidfTransformer(sublinear_tf=True).fit(counts)
    regression = RidgeClassifier(alpha=RIDGE, solver="sparse_cg", max_iter=30, tol=1e-4)
    regression.fit(tfidf.transform(counts), labels)
    coefficients, intercepts = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:  # of two classes, scikit-learn keeps the second
        coefficients = np.vstack([-coefficients, coefficients])
        intercepts = np.concatenate([-intercepts, intercepts])
    weights, bias = np.zeros((classes, counts.shape[1])), np.full(classes, -1.0)
    weights[regression.classes_], bias[regression.classes_] = coefficients, intercepts

    has_word = csr_matrix(counts > 0)
    weights += _ODDS * log_odds(np.eye(classes)[labels].T @ has_word)
    weights[:, np.asarray(has_word.sum(axis=0)).ravel() == 0] = 0
    return LinearClassifier(
        tfidf.idf_.astype("float32"),
        (_SHARPNESS * weights.T).astype("float32"),
        (_SHARPNESS * bias).astype("float32"),
    )


def logits(classifier: LinearClassifier, counts: csr_matrix) -> np.ndarray:
    """Return the classifier's logits of texts, float64[examples, classes].

    Args:
      classifier: as `fit_counts` returns it.
      counts: number[examples, words].
    """
    counts = _rounded(counts)
    counts.data = 1 + np.log(counts.data)
    tfidf = normalize(counts.multiply(classifier.idf).tocsr())
    logits_of_texts: np.ndarray = tfidf @ classifier.weights + classifier.bias
    return logits_of_texts


def _rounded(counts: csr_matrix) -> csr_matrix:
    """Return float64[examples, words], the counts rounded down to powers of two."""
    rounded = counts.astype("float64")
    rounded.data = 2 ** np.floor(np.log2(np.minimum(rounded.data, MOST_COUNTS)))
    return rounded


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
