"""Ridge regression of all classes at once: that it is scikit-learn's, to the last bit."""

import numpy as np
import pytest
import scipy
from sklearn.linear_model import RidgeClassifier

from research.models import ridge


def problem(examples, columns, classes):
    """Sparse features of which some say the class, some are constant and some are never there."""
    generator = np.random.default_rng(0)
    labels = generator.permutation(examples) % classes
    features = generator.exponential(size=(examples, columns))
    features[generator.random(features.shape) > 0.1] = 0
    features[:, 1], features[:, -1], features[:, 3 : 3 + columns // 10] = 1, 0, 0
    features[np.arange(examples), columns // 2 + labels] += 1
    return scipy.sparse.csr_matrix(features), labels


def targets_of(labels):
    targets = 2.0 * np.eye(labels.max() + 1)[labels] - 1
    return targets if targets.shape[1] > 2 else targets[:, 1:]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("examples", "columns", "classes"),
    [
        (60, 5_000, 2),  # more than two blocks of features, the last one smaller
        (200, 4_096, 3),
        (300, 900, 70),  # three groups of classes
        (500, 100, 5),  # fewer features than examples
    ],
)
def test_it_is_that_of_scikit_learn_to_the_last_bit(examples, columns, classes, weighted):
    features, labels = problem(examples, columns, classes)
    weights = np.random.default_rng(1).exponential(size=examples) if weighted else None
    before = features.copy()
    found, intercepts = ridge.fit(features, targets_of(labels), 0.5, weights)
    theirs = RidgeClassifier(0.5, solver="sparse_cg", max_iter=100, tol=1e-3)
    theirs.fit(features, labels, sample_weight=weights)
    np.testing.assert_array_equal(found, np.atleast_2d(theirs.coef_))
    np.testing.assert_array_equal(intercepts, np.atleast_1d(theirs.intercept_))
    assert (features != before).nnz == 0


def test_the_number_of_classes_at_a_time_makes_no_difference(monkeypatch):
    features, labels = problem(80, 3_000, 7)
    together = ridge.fit(features, targets_of(labels), 0.1)
    monkeypatch.setattr(ridge, "_MOST_TOGETHER", 3)
    monkeypatch.setattr(ridge, "_BLOCK", 100)
    for found, expected in zip(ridge.fit(features, targets_of(labels), 0.1), together, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_targets_that_are_all_the_same_need_no_features():
    features, labels = problem(40, 500, 3)
    targets = np.column_stack([targets_of(labels), np.ones(40)])
    coefficients, intercepts = ridge.fit(features, targets, 0.5)
    assert not coefficients[-1].any()
    assert intercepts[-1] == 1
    assert coefficients[:-1].any(axis=1).all()
