"""The linear classifier of words, pairs and vectors, and the layer that computes its scores."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import RidgeClassifier

from research.models import linear, ridge

WORDS, CLASSES = 40, 3


def texts(examples=60, length=150, classes=CLASSES):
    """Token ids in which each class has words of its own, and some words very often."""
    generator = np.random.default_rng(0)
    labels = np.arange(examples, dtype="int32") % classes
    token_ids = generator.zipf(1.3, (examples, length)) % WORDS
    token_ids[:, :5] = 2 + 5 * labels[:, None] + generator.integers(0, 5, (examples, 5))
    token_ids[np.arange(length) >= generator.integers(0, length, examples)[:, None]] = 0
    return token_ids.astype("int32"), labels


def embeddings(words=WORDS, dimensions=6):
    """A vector for each word but padding, [UNK] and a few others."""
    vectors = np.random.default_rng(1).normal(1, 2, (words, dimensions))
    vectors[[0, 1, 7, 11]] = 0
    return vectors


def fit(token_ids, labels, classes=CLASSES, vectors=None, split="whitespace", weights=None):
    vectors = embeddings() if vectors is None else vectors
    weights = None if weights is None else np.array(weights, "float32")
    return linear.fit(token_ids, labels, classes, vectors, split, weights)


def features_of(token_ids):
    """Shares of words and no vectors."""
    shares = np.stack([np.bincount(row, minlength=WORDS) for row in token_ids])[:, 2:] / 150
    return linear._Features(csr_matrix(shares), np.zeros((len(shares), 1)), 1.6)


def tfidf_by_hand(ids, idf):
    rows = []
    for row in ids:
        weights = np.zeros(len(idf))
        for place, count in zip(*np.unique(row[row > 0], return_counts=True), strict=True):
            floor = 2 ** int(np.log2(min(count, linear.MOST_COUNTS)))
            weights[place] = (1 + np.log(floor)) * idf[place]
        length = np.sqrt((weights**2).sum())
        rows.append(weights / length if length else weights)
    return np.array(rows)


def pairs_by_hand(token_ids):
    """A place for each token and the next one."""
    places = np.zeros_like(token_ids)
    for row, text in enumerate(token_ids):
        for column in range(len(text) - 1):
            first, second = int(text[column]), int(text[column + 1])
            if first > 1 and second > 1:
                hashed = (first * linear.PAIR_FACTOR + second) % linear.PAIR_PLACES
                places[row, column] = 1 + hashed
    return places


def scores_by_hand(fitted, token_ids):
    of_words = tfidf_by_hand(np.where(token_ids < 2, 0, token_ids), fitted.idf)
    of_pairs = tfidf_by_hand(pairs_by_hand(token_ids), fitted.pair_idf)
    return of_words @ fitted.weights + of_pairs @ fitted.pair_weights + fitted.bias


def test_pairs_are_hashed_to_places_and_pairs_without_two_words_are_none():
    token_ids, _ = texts()
    token_ids[2], token_ids[3] = 1, 0
    np.testing.assert_array_equal(linear.pair_ids(token_ids), pairs_by_hand(token_ids))
    largest = np.array([[2**19 - 1, 2**19 - 1]], "int32")
    assert 0 < linear.pair_ids(largest)[0, 0] <= linear.PAIR_PLACES


@pytest.mark.parametrize(("split", "share"), [("whitespace", 0.3), ("character", 3.0)])
def test_it_is_ridge_regression_on_words_pairs_and_vectors_plus_log_odds(split, share):
    token_ids, labels = texts()
    fitted = fit(token_ids, labels, split=split)
    words = tfidf_by_hand(np.where(token_ids < 2, 0, token_ids), fitted.idf)
    pairs = tfidf_by_hand(pairs_by_hand(token_ids), fitted.pair_idf)
    vectors = embeddings()
    has_vector = vectors.any(axis=1)
    vectors[has_vector] -= vectors[has_vector].mean(axis=0)
    vectors[has_vector] /= np.linalg.norm(vectors[has_vector], axis=1, keepdims=True)
    means = words @ vectors
    means /= np.sqrt((means**2).sum(axis=1).mean())
    features = np.hstack([words, np.sqrt(share) * pairs, np.sqrt(0.3) * means])
    features /= np.sqrt(1 + share + 0.3)

    of_class = np.array(
        [[(token_ids[labels == c] == w).any(1).sum() for w in range(WORDS)] for c in range(CLASSES)]
    )
    of_class[:, :2] = 0
    odds = linear.log_odds(of_class.astype("float64"))
    odds[:, fitted.idf == 0] = 0
    differences = {
        penalty: np.abs(
            RidgeClassifier(penalty, solver="cholesky")
            .fit(features, labels)
            .decision_function(features)
            + 0.07 * words @ odds.T
            - scores_by_hand(fitted, token_ids)
        ).max()
        for penalty in (0.1, 0.3, 1.0)
    }
    assert sorted(differences.values())[0] < 0.01 < sorted(differences.values())[1]


def test_a_weight_counts_as_often_as_the_text_is_there():
    token_ids, labels = texts()
    once = np.append(np.arange(len(labels)), np.flatnonzero(labels == 2))
    twice = linear._regression(features_of(token_ids[once]), labels[once], CLASSES, None)
    weighted = linear._regression(
        features_of(token_ids), labels, CLASSES, np.array([1.0, 1.0, 2.0])[labels]
    )
    for found, expected in zip(weighted, twice, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-3)
    even, uneven = fit(token_ids, labels), fit(token_ids, labels, weights=[1, 1, 2])
    assert np.abs(even.bias - uneven.bias).max() > 0.01


def test_the_penalty_is_the_best_at_leaving_one_text_out(monkeypatch):
    token_ids, labels = texts()
    shuffled = np.random.default_rng(3).permutation(labels)
    chosen = []
    regression = ridge.fit

    def noted(features, targets, penalty, weights):
        chosen.append(penalty / 1.6)
        return regression(features, targets, penalty, weights)

    monkeypatch.setattr(ridge, "fit", noted)
    fit(token_ids, labels)
    fit(token_ids, shuffled)  # nothing can be learned, so the less the better
    assert chosen == pytest.approx([0.1, 1.0])


@pytest.mark.parametrize("noise", [0.3, 3.0])
def test_the_best_penalty_is_that_of_fitting_again_without_each_text(noise):
    generator = np.random.default_rng(0)
    labels = np.arange(24) % 3
    sparse = csr_matrix(np.eye(3)[labels] + generator.normal(0, noise, (24, 3)))
    dense = generator.normal(size=(24, 4))
    features = np.hstack([sparse.toarray(), dense]) / np.sqrt(1.6)
    targets = 2 * np.eye(3)[labels] - 1
    targets -= targets.mean(axis=0)

    def error(penalty):
        errors = []
        for text in range(24):
            others = np.arange(24) != text
            products = features[others].T @ features[others] + penalty * np.eye(7)
            weights = np.linalg.solve(products, features[others].T @ targets[others])
            errors.append(targets[text] - features[text] @ weights)
        return (np.array(errors) ** 2).mean()

    shown = linear._best_penalty(linear._Features(sparse, dense, 1.6), labels)
    assert shown == min((0.1, 0.3, 1.0), key=error)


def test_words_never_seen_say_nothing_although_they_have_a_vector():
    token_ids, labels = texts()
    token_ids[token_ids == WORDS - 1] = 1
    fitted = fit(token_ids, labels)
    assert embeddings()[-1].any()
    assert (fitted.idf[-1], fitted.weights[-1].any()) == (0, False)


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
    fitted = fit(token_ids, labels, classes)
    accuracy = (scores_by_hand(fitted, token_ids).argmax(axis=1) == labels).mean()
    assert accuracy > 0.9


def test_padding_and_unknown_words_say_nothing():
    token_ids, labels = texts()
    fitted = fit(token_ids, labels)
    assert (fitted.idf[:2] == 0).all()
    assert (fitted.weights[:2] == 0).all()
    assert (fitted.pair_idf[0], fitted.pair_weights[0].any()) == (0, False)


def test_a_class_without_texts_is_never_preferred():
    token_ids, labels = texts()
    fitted = fit(token_ids, labels, CLASSES + 1)
    assert (scores_by_hand(fitted, token_ids).argmax(axis=1) < CLASSES).all()


def test_a_single_class_is_refused():
    with pytest.raises(ValueError, match="at least two classes, received 4 texts of one class"):
        fit(np.full((4, 3), 2, "int32"), np.zeros(4, "int32"))


def test_scores_are_computed_without_keras():
    token_ids, labels = texts()
    token_ids[3] = 0  # a text without words
    fitted = fit(token_ids, labels)
    for length in (150, 64, 1):
        found = linear.scores(fitted, token_ids[:, :length])
        assert found.shape == (len(labels), CLASSES)
        np.testing.assert_allclose(found, scores_by_hand(fitted, token_ids[:, :length]), atol=1e-12)


@pytest.mark.backend
def test_the_layer_computes_the_same_scores():
    from keras import ops

    from research.models import expert_layers

    token_ids, labels = texts()
    token_ids[3] = 0  # a text without words
    fitted = fit(token_ids, labels)
    layer = expert_layers.LinearScores(*fitted)
    for length in (150, 64, 1):  # with words that occur up to 150 times
        scores, idf = layer(token_ids[:, :length])
        expected = scores_by_hand(fitted, token_ids[:, :length])
        np.testing.assert_allclose(ops.convert_to_numpy(scores), expected, atol=1e-4)
        np.testing.assert_allclose(
            ops.convert_to_numpy(idf), fitted.idf[token_ids[:, :length]], rtol=1e-6
        )
