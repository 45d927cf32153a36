"""What every reader of a corpus returns."""

from typing import NamedTuple

import numpy as np

from research.data.splits import linked, normalised


class Documents(NamedTuple):
    """The documents of a corpus, in its own order.

    Attributes:
      texts: the text of each document.
      classes: the name of its class.
      splits: "train", "validation" or "test".
      groups: int[examples]; documents with the same number are never divided between splits.
      source: where they come from, as a person reads it.
    """

    texts: list[str]
    classes: list[str]
    splits: list[str]
    groups: np.ndarray
    source: str


def by_text(texts: list[str], classes: list[str], splits: list[str], source: str) -> Documents:
    """Return documents whose groups are those of equal texts, except for case and white space."""
    groups = linked([normalised(text) for text in texts])
    return Documents(texts, classes, splits, groups, source)
