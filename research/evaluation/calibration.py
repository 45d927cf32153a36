"""Whether probabilities mean what they say: of texts labelled with 0.9, are 90% right?"""

from typing import TypedDict

import numpy as np

BINS = 15
"""Bins of equal width, as in Guo et al. 2017, https://proceedings.mlr.press/v70/guo17a.html."""


class Bin(TypedDict):
    """Examples whose most probable class has a similar probability."""

    confidence: float
    accuracy: float
    examples: int


class Calibration(TypedDict):
    """What `summary` returns, as JSON values."""

    ece: float
    brier: float
    reliability: list[Bin]


def summary(labels: np.ndarray, probabilities: np.ndarray) -> Calibration:
    """Return how well probabilities are calibrated.

    - `ece`: expected calibration error. Examples are put into 15 bins by the probability of their
      most probable class, their confidence. The error is the mean of |accuracy - confidence| over
      the bins, weighted by their examples. 0 is perfect.
    - `brier`: the mean over the examples of the sum of squared differences between probabilities
      and 0 or 1, from 0 to 2. Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    - `reliability`: mean confidence and accuracy of each bin that has examples.

    Args:
      labels: int[examples].
      probabilities: float[examples, classes], each row a distribution.
    """
    probabilities = np.asarray(probabilities, np.float64)
    confidence = probabilities.max(axis=1)
    is_right = probabilities.argmax(axis=1) == labels
    of_bin = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins = [
        Bin(
            confidence=float(confidence[of_bin == number].mean()),
            accuracy=float(is_right[of_bin == number].mean()),
            examples=int((of_bin == number).sum()),
        )
        for number in np.unique(of_bin)
    ]
    gaps = [abs(one["accuracy"] - one["confidence"]) * one["examples"] for one in bins]
    of_right_class = probabilities[np.arange(len(labels)), labels]
    squares = (probabilities**2).sum(axis=1) - 2 * of_right_class + 1
    return Calibration(ece=sum(gaps) / len(labels), brier=float(squares.mean()), reliability=bins)
