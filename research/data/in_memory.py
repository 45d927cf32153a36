"""Texts and labels that a Python program holds, as lists, arrays, Series or generators."""

import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from research.data import corpora, splits
from research.data.corpora import Corpus, Split

_VALIDATION_SHARE = 0.1


def strings(texts: Iterable[str]) -> list[str]:
    """Return texts as a list.

    Args:
      texts: a list, a tuple, an array or a Series of strings, or whatever else yields them.

    Raises:
      ValueError: they are not strings in one dimension.
    """
    if isinstance(texts, str | bytes):
        raise ValueError(
            f"expected a list of strings, received {reprlib.repr(texts)}; put a single text into a "
            "list"
        )
    if not _is_flat(texts):
        raise ValueError(
            "expected a list, a tuple, a one-dimensional array or a Series of strings, received "
            f"{type(texts).__name__}; give the texts alone, such as one column"
        )
    listed = list(texts)
    for index, text in enumerate(listed):
        if not isinstance(text, str):
            raise ValueError(
                f"expected only strings, received {reprlib.repr(text)} of type "
                f"{type(text).__name__} as element {index}; decode, fill or remove it"
            )
    return listed


def labels(values: Iterable[Any]) -> np.ndarray:
    """Return labels as an array of strings, integers or booleans, one for each text.

    Args:
      values: a list, a tuple, an array, a Series or whatever else yields labels of one kind.

    Raises:
      ValueError: they are not of one of these kinds, or not in one dimension, or one is blank.
    """
    if isinstance(values, str | bytes) or not _is_flat(values):
        raise ValueError(
            "expected a list, a one-dimensional array or a Series of labels, received "
            f"{type(values).__name__}; give the labels alone, such as one column"
        )
    listed = list(values)
    for index, value in enumerate(listed):
        kind = _kind(value)
        if kind is None or kind is not _kind(listed[0]) or (kind is str and not value.strip()):
            raise ValueError(
                "expected labels that are all strings, all integers or all booleans, and not "
                f"blank, received {reprlib.repr(value)} of type {type(value).__name__} as label "
                f"{index}; correct or remove it"
            )
    dtype = values.dtype if isinstance(values, np.ndarray) and values.dtype != object else None
    return np.array(listed, dtype)


def corpus(texts: Iterable[str], values: Iterable[Any]) -> tuple[Corpus, np.ndarray]:
    """Return a corpus with the splits train and validation, and the classes as they were given.

    A tenth of the texts becomes validation, as `splits.hold_out` draws it. Texts that are equal
    except for case and white space stay in one split.

    Args:
      texts: as `strings` takes them.
      values: the label of each text, as `labels` takes them.

    Returns:
      The corpus, whose class names are strings, and the sorted classes in the same order, with the
      dtype of the labels.

    Raises:
      ValueError: texts or labels are not as they must be, or are too few.
    """
    listed, of_texts = strings(texts), labels(values)
    if len(listed) != len(of_texts):
        raise ValueError(
            f"expected a label for each of {len(listed):,} texts, received {len(of_texts):,} "
            "labels; give as many labels as texts"
        )
    blank = next((index for index, text in enumerate(listed) if not text.strip()), None)
    if blank is not None:
        raise ValueError(
            "expected texts to learn from that hold something besides white space, received "
            f"{reprlib.repr(listed[blank])} as element {blank}; fill or remove it"
        )
    classes, numbers = np.unique(of_texts, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            "expected texts of at least two classes, received "
            f"{f'only the label {reprlib.repr(classes[0].item())}' if len(classes) else 'none'}; "
            "add texts of another class"
        )
    whole = Split("train", listed, numbers.astype(np.int32))
    groups = splits.linked([splits.normalised(text) for text in listed])
    is_held_out = splits.hold_out(whole.labels, groups, _VALIDATION_SHARE)
    if not is_held_out.any():
        raise ValueError(
            "expected two different texts or more of some class, so that one can be held out for "
            f"validation, received {len(listed):,} texts without; add texts"
        )
    divided = {
        "train": whole.part(~is_held_out),
        "validation": replace(whole.part(is_held_out), name="validation"),
    }
    names = [str(name) for name in classes]
    digest = corpora.digest(names, divided.values())
    description = "your own texts, from a Python program"
    return Corpus(corpora.IN_MEMORY, description, names, divided, digest), classes


def _is_flat(values: Any) -> bool:
    has_one_dimension = isinstance(values, Iterable) and getattr(values, "ndim", 1) == 1
    return has_one_dimension and not isinstance(values, Mapping)


def _kind(label: Any) -> type | None:
    """Return str, bool or int for a label of Python or NumPy, and None for anything else."""
    if isinstance(label, bool | np.bool_):  # first, since a bool of Python is an int
        return bool
    if isinstance(label, int | np.integer):
        return int
    return str if isinstance(label, str) else None
