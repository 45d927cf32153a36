"""Examples whose label looks wrong, found by confident learning.

A class is likely for an example if its probability is at least as high as on average for the
examples that are labelled with it. Where the likeliest such class is another one than the label,
either the model or the label is wrong, and the model has been sure before. The probabilities must
come from a model that has not learned from the examples.

Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels",
doi:10.1613/jair.1.12125. Their confident joint counts these examples (section 3.1), and the order
is that of "prune by noise rate": by the margin between both classes (section 3.2).
"""

from typing import NamedTuple

import numpy as np


class Suspicious(NamedTuple):
    """Examples whose label looks wrong, the most suspicious first.

    Attributes:
      examples: int64[suspicious], their indices.
      likely: int64[suspicious], the class that each seems to have.
      margins: float64[suspicious], by how much its probability exceeds that of the label.
    """

    examples: np.ndarray
    likely: np.ndarray
    margins: np.ndarray


def find(labels: np.ndarray, probabilities: np.ndarray) -> Suspicious:
    """Return the examples whose label looks wrong.

    Those that the model itself labels as they are labelled are not among them. Equal margins are
    in the order of the examples.

    Args:
      labels: int[examples], a class for each.
      probabilities: float[examples, classes], of a model that has not learned from the examples.
    """
    rows, classes = np.arange(len(labels)), probabilities.shape[1]
    probabilities = probabilities.astype("float64")
    of_label = probabilities[rows, labels]
    sums = np.bincount(labels, of_label, classes)
    counts = np.bincount(labels, minlength=classes)
    # A class without examples is likely for none.
    thresholds = np.divide(sums, counts, out=np.full(classes, np.inf), where=counts > 0)
    likely = np.where(probabilities >= thresholds, probabilities, -1).argmax(axis=1)
    margins = probabilities[rows, likely] - of_label
    is_suspicious = (probabilities[rows, likely] >= thresholds[likely]) & (likely != labels)
    is_suspicious &= probabilities.argmax(axis=1) != labels
    found = np.flatnonzero(is_suspicious)
    found = found[np.argsort(-margins[found], kind="stable")]
    return Suspicious(found, likely[found], margins[found])
