"""How documents are divided into train, validation and test.

A corpus without a test split gets one, and likewise a validation split: a random share of each
class, with a fixed seed. Documents in one group, such as duplicates, are never divided.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import scipy  # loads its parts when they are used

SPLITS = ("train", "validation", "test")
"""The names of the splits."""

SPLIT_OF = {
    **{split: split for split in SPLITS},
    "training": "train",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
    "testing": "test",
}
"""What the names of splits mean, in lower case: of folders, in columns and of datasets."""

_SPLIT_SEED = 20
_TEST_SHARE = 0.2
_VALIDATION_SHARE = 0.1  # of what is not test


def by_name(names: Iterable[str], place: str) -> dict[str, str]:
    """Return which split each of the names means, without the names that mean none.

    Args:
      names: of folders, of values in a column, or of the splits of a dataset, in any case.
      place: where they are, for error messages.

    Raises:
      ValueError: two different names mean the same split. One of them could well mean another.
    """
    found = {name: SPLIT_OF[name.lower()] for name in names if name.lower() in SPLIT_OF}
    first: dict[str, str] = {}
    for name, split in found.items():
        other = first.setdefault(split, name)
        if other != name:
            raise ValueError(
                f"expected one name for the {split} split in {place}, received {other!r} and "
                f"{name!r}; rename or remove one"
            )
    return found


def complete(name: str, labels: np.ndarray, splits: list[str], groups: np.ndarray) -> list[str]:
    """Return the split of each document, once the missing splits are taken out of train.

    Args:
      name: the name of the corpus, for error messages.
      labels: int32[examples].
      splits: "train", "validation" or "test" for each document, as the corpus has it.
      groups: int[examples]; documents with the same number stay together.

    Raises:
      ValueError: there are too few different documents for a missing split.
    """
    split_of = np.array(splits, dtype=object)
    for split, share in (("test", _TEST_SHARE), ("validation", _VALIDATION_SHARE)):
        if split not in splits:
            train = np.flatnonzero(split_of == "train")
            held_out = train[hold_out(labels[train], groups[train], share)]
            if len(held_out) == 0:
                raise ValueError(
                    f"expected enough different documents in {name!r} for a {split} split, "
                    f"received {len(train)} documents; add more, or give splits of your own"
                )
            split_of[held_out] = split
    return list(split_of)


def hold_out(labels: np.ndarray, groups: np.ndarray, share: float) -> np.ndarray:
    """Draw a random share of each class, in whole groups.

    The seed is fixed, so the result is the same on every machine. A class of two documents or more
    gives at least one, unless all its documents are in one group. scikit-learn's
    `StratifiedGroupKFold` also respects groups and classes, but takes seconds where nearly every
    text is a group of its own.

    Args:
      labels: int[examples].
      groups: int[examples]; documents with the same number stay together.
      share: the share of the documents to draw, between 0 and 1.

    Returns:
      bool[examples], true where held out.
    """
    _, first, group_of, sizes = np.unique(
        groups, return_index=True, return_inverse=True, return_counts=True
    )
    label_of_group = labels[first]
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(sizes))
    counts = np.bincount(label_of_group, weights=sizes)
    room = {label: max(1, round(share * n)) if n > 1 else 0 for label, n in enumerate(counts)}
    chosen = np.zeros(len(sizes), dtype=bool)
    for group in order:
        label = label_of_group[group]
        if sizes[group] <= room[label]:
            chosen[group] = True
            room[label] -= sizes[group]
    return chosen[group_of]


def draw(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draw examples at random, of each class the same share.

    With the same seed, a smaller draw is part of a larger one. A class with less than one example
    to its share may have none.

    Args:
      labels: int[examples].
      count: how many to draw.
      seed: of the draw.

    Returns:
      int[count], which examples, in ascending order.

    Raises:
      ValueError: there are fewer examples.
    """
    if count > len(labels):
        raise ValueError(
            f"expected --train-examples of up to {len(labels):,}, which there are, received "
            f"{count:,}; lower it, or leave it out"
        )
    order = np.random.default_rng((_SPLIT_SEED, seed)).permutation(len(labels))
    sizes = np.bincount(labels)
    place = np.empty(len(labels))  # of an example among those of its class, from 0 to 1
    for label in np.flatnonzero(sizes):
        of_class = order[labels[order] == label]
        place[of_class] = (np.arange(sizes[label]) + 0.5) / sizes[label]
    return np.sort(order[np.argsort(place[order], kind="stable")[:count]])


def linked(*keys: Sequence[str]) -> np.ndarray:
    """Group documents that share a key, directly or through other documents.

    Args:
      keys: one sequence for each kind of key, with the key of each document.

    Returns:
      int32[examples], the number of the group of each document.
    """
    examples = len(keys[0])
    node_of: dict[tuple[int, str], int] = {}  # documents come first, then a node for each key
    key_nodes = [
        node_of.setdefault((kind, key), examples + len(node_of))
        for kind, of_kind in enumerate(keys)
        for key in of_kind
    ]
    documents = np.tile(np.arange(examples), len(keys))
    nodes = examples + len(node_of)
    links = scipy.sparse.coo_array(
        (np.ones(len(key_nodes)), (documents, key_nodes)), shape=(nodes, nodes)
    )
    groups: np.ndarray = scipy.sparse.csgraph.connected_components(links, directed=False)[1]
    return groups[:examples]


def normalised(text: str) -> str:
    """Return the text in lower case with single spaces; equal results count as duplicates."""
    return " ".join(text.lower().split())
