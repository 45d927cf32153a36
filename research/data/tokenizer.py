"""Texts to token ids in plain Python, as TextVectorization gives them.

Labelling a text takes a few operations on bytes. TensorFlow, which TextVectorization needs, takes
seconds to import. `research.data.tokens` says how texts are split; a test compares the two.
"""

import string
from collections.abc import Sequence

import numpy as np

from research.data import tokens
from research.data.tokens import SplitAt

_UNKNOWN = tokens.SPECIAL_WORDS.index("[UNK]")
_PUNCTUATION = string.punctuation.encode()


class Tokenizer:
    """Encodes texts with one vocabulary.

    Example:
      tokenizer = Tokenizer(["", "[UNK]", "the", "cat"], sequence_length=4)
      tokenizer.encode(["The cat, the dog."])  # [[2, 3, 2, 1]]
    """

    def __init__(
        self, vocabulary: Sequence[str], sequence_length: int, split: SplitAt = "whitespace"
    ) -> None:
        """Prepare to look words up.

        Args:
          vocabulary: the words, as `tokens.learn_vocabulary` returns them.
          sequence_length: how many token ids each text gets.
          split: where texts are split.
        """
        self._token_ids = {word.encode(): i for i, word in enumerate(vocabulary)}
        self._sequence_length = sequence_length
        self._split = split

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Return the same as `tokens.encode`, int32[texts, sequence_length]."""
        token_ids = np.zeros((len(texts), self._sequence_length), np.int32)
        for row, text in zip(token_ids, texts, strict=True):
            found = [self._token_ids.get(word, _UNKNOWN) for word in self._words(text)]
            row[: len(found)] = found
        return token_ids

    def _words(self, text: str) -> list[bytes]:
        """Return the first words of a text, at most `sequence_length`."""
        # Like TextVectorization, the methods of bytes know only ASCII; those of str know Unicode.
        plain = tokens.as_bytes(text).lower().translate(None, _PUNCTUATION)
        if self._split == "character":
            return [character.encode() for character in plain.decode()[: self._sequence_length]]
        # A long text is split no further than needed. What is left of it becomes the last element.
        return plain.split(None, self._sequence_length)[: self._sequence_length]
