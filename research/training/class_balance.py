"""Classes of unequal size: how uneven they are, and weights that make them count the same."""

import numpy as np

_UNEVEN = 10


def is_uneven(labels: np.ndarray) -> bool:
    """Return whether the largest class has more than ten times the examples of the smallest.

    Accuracy and loss then say little about the small classes.

    Args:
      labels: int[examples].
    """
    sizes = np.bincount(labels)
    return bool(sizes.max() > _UNEVEN * sizes[sizes > 0].min())


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
