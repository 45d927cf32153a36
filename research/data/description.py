"""What a corpus is like: the lengths of its texts, and what leaks between its splits."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from research.data import splits
from research.data.corpora import Corpus


def word_counts(texts: Iterable[str]) -> np.ndarray:
    """Return the number of words between white space in each text, int64[examples]."""
    return np.array([len(text.split()) for text in texts], dtype=np.int64)


def share_kept(lengths: np.ndarray, sequence_length: int) -> tuple[float, float]:
    """Return what is left of texts of these lengths when they are cut.

    Args:
      lengths: int[examples], in tokens.
      sequence_length: in tokens.

    Returns:
      The share of documents that are kept whole, and the share of all tokens that are kept.

    Raises:
      ValueError: `sequence_length` is below 1.
    """
    if sequence_length < 1:
        raise ValueError(
            f"expected a sequence length of 1 or more, received {sequence_length}; raise it"
        )
    whole = float((lengths <= sequence_length).mean())
    tokens = float(np.minimum(lengths, sequence_length).sum() / lengths.sum())
    return whole, tokens


def duplicates(corpus: Corpus) -> tuple[int, dict[str, int]]:
    """Count the documents that equal another one, except for case and white space.

    Returns:
      Their number, and for each held-out split the number of its documents that are in train.
    """
    bodies = {
        name: [splits.normalised(t) for t in split.texts] for name, split in corpus.splits.items()
    }
    counts = Counter(body for of_split in bodies.values() for body in of_split)
    in_train = set(bodies["train"])
    return sum(count for count in counts.values() if count > 1), {
        name: sum(body in in_train for body in of_split)
        for name, of_split in bodies.items()
        if name != "train"
    }


def cross_posts(newsgroups: Sequence[str], posts: Sequence[str]) -> tuple[int, int]:
    """Count the Message-IDs that occur in two newsgroups or more, and the posts that have them."""
    ids = newsgroups.message_ids(posts)
    places: dict[str, set[str]] = {}
    for newsgroup, message_id in zip(newsgroups, ids, strict=True):
        places.setdefault(message_id, set()).add(newsgroup)
    crossed = {message_id for message_id, groups in places.items() if len(groups) > 1}
    return len(crossed), sum(message_id in crossed for message_id in ids)
