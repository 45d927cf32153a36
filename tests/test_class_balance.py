"""Classes of unequal size."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from research.training import class_balance


@pytest.mark.parametrize(
    ("sizes", "uneven"), [((10, 100), False), ((10, 101), True), ((5,), False)]
)
def test_ten_times_as_many_examples_are_uneven(sizes, uneven):
    assert class_balance.is_uneven(np.repeat(np.arange(len(sizes)), sizes)) is uneven


def test_a_class_without_examples_does_not_count():
    assert not class_balance.is_uneven(np.array([0, 0, 2]))


def test_weights_are_those_of_scikit_learn():
    labels = np.repeat([0, 1, 2], [50, 10, 3])
    weights = class_balance.balanced_weights(labels, 4)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(weights, [*expected, 1], rtol=1e-6)
    np.testing.assert_allclose(np.bincount(labels, weights[labels]), 21, rtol=1e-6)
