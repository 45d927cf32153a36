"""What each word of a text says for or against a label, for any model.

A word is turned into padding wherever it occurs, and the model labels what remains. The word's
contribution is what the log-odds of the label lose: positive if the word speaks for the label,
negative if it speaks against it. At a contribution of 0.7 the odds are twice as high with the word
as without it. In log-odds, words still differ where the probability is 1.0000 with and without
them.

Padding keeps the place of a word. Otherwise later words would move and get new neighbours, which
would count, too. And padding is what word dropout makes of words while wide-deep is trained.

Where the log-odds are a sum over words, the contributions are its terms. The linear part of
wide-deep is not taken apart into terms of its own: each changes with the length of the text, and
goes through the product with the deep part. Labelling what remains counts all of that.

Li, Monroe and Jurafsky 2016, "Understanding Neural Networks through Representation Erasure",
https://arxiv.org/abs/1612.08220.
"""

from collections.abc import Callable

import numpy as np

MOST_WORDS = 1_000
"""Of a text with more different words, the first are explained."""

_WORDS_AT_A_TIME = 256
_PADDING = 0


def contributions(
    token_ids: np.ndarray, predict: Callable[[np.ndarray], np.ndarray], label: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the different words of a text, the weightiest first, and the contribution of each.

    Words of equal weight are in the order of the text.

    Args:
      token_ids: int32[sequence_length], with padding at the end.
      predict: from int32[texts, sequence_length] to probabilities, float32[texts, classes].
      label: the number of a class.

    Returns:
      Token ids, int32[words], and contributions in nats, float64[words].
    """
    words, places = np.unique(token_ids[token_ids != _PADDING], return_index=True)
    words = words[np.argsort(places)][:MOST_WORDS]
    without = np.zeros(len(words))
    for start in range(0, len(words), _WORDS_AT_A_TIME):
        part = slice(start, start + _WORDS_AT_A_TIME)
        texts = np.where(token_ids == words[part, None], _PADDING, token_ids).astype("int32")
        without[part] = _log_odds(predict(texts), label)
    contribution = _log_odds(predict(token_ids[None]), label) - without
    order = np.argsort(-np.abs(contribution), kind="stable")
    return words[order], contribution[order]


def _log_odds(probabilities: np.ndarray, label: int) -> np.ndarray:
    """Return float64[texts]. It lies between -87.3 and 87.3, the range of float32."""
    # 1 - p would be 0 long before the other probabilities are.
    others = np.delete(probabilities, label, axis=1).sum(axis=1, dtype="float64")
    smallest = np.finfo("float32").tiny
    odds = np.maximum(probabilities[:, label], smallest) / np.maximum(others, smallest)
    log_odds: np.ndarray = np.log(odds, dtype="float64")
    return log_odds
