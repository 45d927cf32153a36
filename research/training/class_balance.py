"""Weights that make classes of unequal size count the same."""

import numpy as np


def balanced_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return weights of examples by class, float32[classes], that give each class the same sum.

    Their mean over the examples is 1. A class without examples has weight 1. They are those of
    scikit-learn's `class_weight="balanced"`; King and Zeng 2001,
    https://doi.org/10.1093/oxfordjournals.pan.a004868.

    Args:
      labels: int[examples].
      classes: above every label.
    """
    sizes = np.bincount(labels, minlength=classes)
    weights = len(labels) / (np.count_nonzero(sizes) * np.maximum(sizes, 1))
    return np.where(sizes > 0, weights, 1).astype("float32")
