"""The linear classifier of TF-IDF, and the layer that computes its logits."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import RidgeClassifier

from research.models import linear

WORDS, CLASSES = 40, 3


def texts(examples=60, length=150, classes=CLASSES):
    """Token ids in which each class has words of its own, and some words very often."""
    generator = np.random.default_rng(0)
    labels = np.arange(examples, dtype="int32") % classes
    token_ids = generator.zipf(1.3, (examples, length)) % WORDS
    token_ids[:, :5] = 2 + 5 * labels[:, None] + generator.integers(0, 5, (examples, 5))
    token_ids[np.arange(length) >= generator.integers(0, length, examples)[:, None]] = 0
    return token_ids.astype("int32"), labels


def tfidf_by_hand(fitted, token_ids):
    rows = []
    for row in token_ids:
        weights = np.zeros(WORDS)
        for word, count in zip(*np.unique(row[row > 1], return_counts=True), strict=True):
            floor = 2 ** int(np.log2(min(count, linear.MOST_COUNTS)))
            weights[word] = (1 + np.log(floor)) * fitted.idf[word]
        length = np.sqrt((weights**2).sum())
        rows.append(weights / length if length else weights)
    return np.array(rows)


def logits_by_hand(fitted, token_ids):
    return tfidf_by_hand(fitted, token_ids) @ fitted.weights + fitted.bias


def test_logits_are_those_of_a_loop_over_the_words():
    token_ids, labels = texts()
    token_ids[3] = 0  # a text without words
    fitted = linear.fit(token_ids, labels, WORDS, CLASSES)
    counts = np.array([np.bincount(row, minlength=WORDS) for row in token_ids])
    counts[:, :2] = 0
    shown = linear.logits(fitted, csr_matrix(counts))
    np.testing.assert_allclose(shown, logits_by_hand(fitted, token_ids), atol=1e-5)


def test_counts_and_token_ids_give_the_same_classifier():
    token_ids, labels = texts()
    counts = np.array([np.bincount(row, minlength=WORDS) for row in token_ids])[:, 2:]
    of_ids = linear.fit(token_ids, labels, WORDS, CLASSES)
    of_counts = linear.fit_counts(csr_matrix(counts), labels, CLASSES)
    np.testing.assert_array_equal(of_counts.idf, of_ids.idf[2:])
    np.testing.assert_allclose(of_counts.weights, of_ids.weights[2:], atol=1e-5)
    np.testing.assert_allclose(of_counts.bias, of_ids.bias, atol=1e-5)


def test_it_is_ridge_regression_on_tfidf_plus_log_odds():
    token_ids, labels = texts()
    fitted = linear.fit(token_ids, labels, WORDS, CLASSES)
    tfidf = tfidf_by_hand(fitted, token_ids)
    regression = RidgeClassifier(alpha=0.3, solver="cholesky").fit(tfidf, labels)
    of_class = np.array(
        [[(token_ids[labels == c] == w).any(1).sum() for w in range(WORDS)] for c in range(CLASSES)]
    )
    of_class[:, :2] = 0
    odds = linear.log_odds(of_class.astype("float64"))
    expected = 5 * (regression.decision_function(tfidf) + 0.07 * tfidf @ odds.T)
    np.testing.assert_allclose(logits_by_hand(fitted, token_ids), expected, atol=0.05)


def test_log_odds_favour_the_class_that_has_the_word():
    odds = linear.log_odds(np.array([[50.0, 1, 49], [0, 0, 100]]))
    assert odds[0, 0] > 0 > odds[1, 0]
    assert odds[1, 2] > 0 > odds[0, 2]


def test_a_word_missing_from_a_small_class_says_little():
    odds = linear.log_odds(np.array([[10_000.0, 0, 0], [0, 10, 0], [0, 0, 5_000]]))
    assert odds[0, 2] == pytest.approx(np.log(0.5))
    assert -0.01 < odds[1, 2] < 0


@pytest.mark.parametrize("classes", [2, 3])
def test_it_labels_the_texts_that_it_was_fitted_to(classes):
    token_ids, labels = texts(classes=classes)
    fitted = linear.fit(token_ids, labels, WORDS, classes)
    accuracy = (logits_by_hand(fitted, token_ids).argmax(axis=1) == labels).mean()
    assert accuracy > 0.9


def test_padding_unknown_words_and_words_never_seen_say_nothing():
    token_ids, labels = texts()
    unseen = WORDS - 1
    token_ids[token_ids == unseen] = 1
    fitted = linear.fit(token_ids, labels, WORDS, CLASSES)
    assert (fitted.idf[:2] == 0).all()
    assert (fitted.weights[unseen] == 0).all()


def test_a_class_without_texts_is_never_preferred():
    token_ids, labels = texts()
    fitted = linear.fit(token_ids, labels, WORDS, CLASSES + 1)
    assert (logits_by_hand(fitted, token_ids).argmax(axis=1) < CLASSES).all()


def test_a_single_class_is_refused():
    with pytest.raises(ValueError, match="at least two classes, received 4 texts of one class"):
        linear.fit(np.full((4, 3), 2, "int32"), np.zeros(4, "int32"), WORDS, CLASSES)


@pytest.mark.backend
def test_the_layer_computes_the_same_logits():
    from keras import ops

    from research.models import layers

    token_ids, labels = texts()
    fitted = linear.fit(token_ids, labels, WORDS, CLASSES)
    layer = layers.TfidfLogits(*fitted)
    for length in (150, 64, 1):  # with words that occur up to 150 times
        logits, idf = layer(token_ids[:, :length])
        expected = logits_by_hand(fitted, token_ids[:, :length])
        np.testing.assert_allclose(ops.convert_to_numpy(logits), expected, atol=1e-4)
        np.testing.assert_allclose(
            ops.convert_to_numpy(idf), fitted.idf[token_ids[:, :length]], rtol=1e-6
        )
