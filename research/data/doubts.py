"""What about a corpus makes a result doubtful, each in one line that says what to do."""

import re
from collections.abc import Sequence

import numpy as np

from research.data import splits

_COPIES_SHARE = 0.2
_UNKNOWN_SHARE = 0.2
_CUT_SHARE = 0.1
_FEW_HELD_OUT = 100
_TEXTS_READ = 1_000

# Thai and Lao, Burmese, Khmer, Japanese and Chinese. Korean has spaces between words.
_WITHOUT_SPACES = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_MOSTLY = 0.3


def about_language(texts: Sequence[str]) -> list[str]:
    """Doubt texts in a language that puts no spaces between words.

    Args:
      texts: to learn from, split at white space.
    """
    sample = "".join(texts[:_TEXTS_READ])
    share = len(_WITHOUT_SPACES.findall(sample)) / max(1, len("".join(sample.split())))
    if share < _MOSTLY:
        return []
    return [
        f"{share:.0%} of the characters are of scripts without spaces between words, so whole "
        "sentences count as words; use --split character"
    ]


def about_copies(texts: Sequence[str]) -> list[str]:
    """Doubt a score for texts of which many are equal.

    Args:
      texts: to learn from.
    """
    distinct = len({splits.normalised(text) for text in texts})
    copies = (len(texts) - distinct) / max(1, len(texts))
    if copies <= _COPIES_SHARE:
        return []
    return [
        f"{copies:.0%} of the texts to learn from repeat another one, but splits that are drawn "
        "here never share a text; if new texts will repeat old ones, give --split-column"
    ]


def about_tokens(token_ids: np.ndarray, held_out_ids: np.ndarray, length: int) -> list[str]:
    """Doubt a vocabulary that lacks many words, and texts that are cut.

    Args:
      token_ids: int32[examples, tokens], of the texts to learn from.
      held_out_ids: int32[held-out examples, tokens].
      length: the sequence length.
    """
    found = []
    unknown = float((held_out_ids == 1).sum() / max(1, np.count_nonzero(held_out_ids)))
    if unknown > _UNKNOWN_SHARE:
        found.append(
            f"{unknown:.0%} of the held-out texts' words are not in the vocabulary and count as "
            "[UNK]; raise --vocabulary-size, or add texts"
        )
    cut = float((token_ids[:, length - 1] != 0).mean()) if token_ids.shape[1] == length else 0.0
    if cut > _CUT_SHARE:
        found.append(
            f"{cut:.0%} of the texts have {length:,} tokens or more and are cut there; raise "
            "--sequence-length if what follows matters"
        )
    return found


def about_validation(examples: int) -> list[str]:
    """Doubt a choice that was made on few held-out texts.

    Args:
      examples: texts on which the epoch is chosen.
    """
    if examples >= _FEW_HELD_OUT:
        return []
    error = 0.5 / np.sqrt(examples)
    return [
        f"the best epoch is chosen on only {examples} texts, whose accuracy is uncertain by up to "
        f"{error:.0%}; add texts, or repeat with several --seed"
    ]
