"""Classes of unequal size."""

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from research.training import class_balance


def test_weights_are_those_of_scikit_learn():
    labels = np.repeat([0, 1, 2], [50, 10, 3])
    weights = class_balance.balanced_weights(labels, 4)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    np.testing.assert_allclose(weights, [*expected, 1], rtol=1e-6)
    np.testing.assert_allclose(np.bincount(labels, weights[labels]), 21, rtol=1e-6)
