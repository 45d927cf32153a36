"""Statistics of a corpus: the lengths of its texts, and what leaks between its splits."""

from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from research.data import newsgroups, splits
from research.data.corpora import Corpus


def word_counts(texts: Iterable[str]) -> np.ndarray:
    """Return the number of words in each text, split at white space, as int64[examples]."""
    return np.array([len(text.split()) for text in texts], dtype=np.int64)


def share_kept(lengths: np.ndarray, sequence_length: int) -> tuple[float, float]:
    """Return how much remains of texts when they are cut to a sequence length.

    Args:
      lengths: int[examples], the length of each text in tokens.
      sequence_length: the tokens kept of each text.

    Returns:
      The share of texts that are kept whole, and the share of all tokens that are kept.

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
    """Count the documents that equal another document except for case and white space.

    Returns:
      The number of such documents, and for each held-out split how many of its documents are also
      in train.
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


def cross_posts(names: Sequence[str], posts: Sequence[str]) -> tuple[int, int]:
    """Count the Message-IDs that occur in several newsgroups, and the posts that have one.

    Args:
      names: the newsgroup of each post.
      posts: each post, with its headers.
    """
    ids = newsgroups.message_ids(posts)
    places: dict[str, set[str]] = {}
    for newsgroup, message_id in zip(names, ids, strict=True):
        places.setdefault(message_id, set()).add(newsgroup)
    crossed = {message_id for message_id, groups in places.items() if len(groups) > 1}
    return len(crossed), sum(message_id in crossed for message_id in ids)
