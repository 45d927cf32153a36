"""The documents of a corpus, as its reader returns them."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from research.data.splits import linked, normalised


class Documents(NamedTuple):
    """The documents of a corpus, in its own order.

    Attributes:
      texts: the text of each document.
      classes: the name of the class of each document.
      splits: "train", "validation" or "test" for each document.
      groups: int[examples]; documents with the same number always share a split.
      source: where the documents come from, for a person to read.
      notes: what a person should know about how they were read, a line each.
    """

    texts: list[str]
    classes: list[str]
    splits: list[str]
    groups: np.ndarray
    source: str
    notes: Sequence[str] = ()


def by_text(
    texts: list[str],
    classes: list[str],
    splits: list[str],
    source: str,
    notes: Sequence[str] = (),
) -> Documents:
    """Return documents in groups of texts that are equal except for case and white space."""
    groups = linked([normalised(text) for text in texts])
    return Documents(texts, classes, splits, groups, source, notes)
