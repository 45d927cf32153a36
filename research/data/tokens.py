"""Texts to integer arrays, with Keras's TextVectorization.

The vocabulary and the arrays go into the cache, under a key of everything that determines them.
Keras and TensorFlow run only if the cache lacks an entry. So JAX and PyTorch can train from a warm
cache where TensorFlow is not installed.

Texts are split as TextVectorization does: ASCII letters become lower case, ASCII punctuation is
removed, and words end at ASCII whitespace. For languages that put no spaces between words, each
character can be a token instead. Keras and NumPy fail on two kinds of input. NUL characters and
lone surrogates are therefore replaced (`as_bytes`), and words of more than 1,000 bytes are not
learned (`learn_vocabulary`).

Page: https://keras.io/api/layers/preprocessing_layers/text/text_vectorization/
"""

import functools
import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from research.files import cache

SPECIAL_WORDS = ("", "[UNK]")
"""Words 0 and 1 of every vocabulary: padding, and every out-of-vocabulary word."""

SplitAt = Literal["whitespace", "character"]
"""Where texts are split: at white space, or after each character, which is then a token."""

_CACHE_FORMAT = 2  # raise it when the same input must give other files
_LONGEST_WORD_BYTES = 1_000
_BATCH_BYTES = 1 << 20
_BATCH_TEXTS = 1_024


def learn_vocabulary(
    texts: Sequence[str], vocabulary_size: int, split: SplitAt = "whitespace"
) -> list[str]:
    """Return the most frequent words of the texts, the most frequent first.

    The list starts with `SPECIAL_WORDS` and has at most `vocabulary_size` entries, including those
    two. Words that are equally frequent are in descending order of their UTF-8 bytes. More than
    1,000 bytes without whitespace do not count as a word: Keras copies the vocabulary into an array
    as wide as its longest word, so one encoded attachment among the texts would fill the memory.
    A line feed is never a token, since it ends a line of `vocabulary.txt`.

    Raises:
      ValueError: there are no texts, no text holds a word, or `vocabulary_size` is below 3.
      ModuleNotFoundError: the vocabulary is not in the cache, and TensorFlow is not installed.
    """
    _check_texts(texts)
    if vocabulary_size < 3:
        raise ValueError(
            f"expected a vocabulary_size of 3 or more, received {vocabulary_size}; "
            "padding and [UNK] take two, so leave room for words"
        )

    def build(folder: Path) -> None:
        _import_tensorflow()
        import keras

        layer = keras.layers.TextVectorization(max_tokens=vocabulary_size, split=split)
        layer.adapt(_without_long_words(batch) for batch in _batches(texts))
        words = [word for word in layer.get_vocabulary() if word != "\n"]
        (folder / "vocabulary.txt").write_bytes(vocabulary_file(words))

    key = {
        "format": _CACHE_FORMAT,
        "texts": _digest(as_bytes(text) for text in texts),
        "vocabulary_size": vocabulary_size,
        "split": split,
    }
    vocabulary = read_vocabulary(cache.cached("vocabulary", key, build) / "vocabulary.txt")
    if len(vocabulary) == len(SPECIAL_WORDS):
        raise ValueError(
            f"expected texts that hold words, received {len(texts)} texts without words; "
            "check how the corpus is read"
        )
    return vocabulary


def encode(
    texts: Sequence[str],
    vocabulary: Sequence[str],
    sequence_length: int,
    split: SplitAt = "whitespace",
) -> np.ndarray:
    """Return the texts as `int32[examples, sequence_length]` word numbers.

    A word's number is its index in the vocabulary, or 1 if the vocabulary lacks it. Texts are cut
    after `sequence_length` words. Shorter texts are padded with 0 at the end.

    Raises:
      ValueError: there are no texts, `sequence_length` is below 1, or the vocabulary does not
        start with `SPECIAL_WORDS`, holds no other word, or holds a word twice.
      ModuleNotFoundError: TensorFlow is not installed.
    """
    _check_encoding(texts, vocabulary, sequence_length)
    token_ids = np.empty((len(texts), sequence_length), np.int32)
    start = 0
    for batch in _encode_batches(texts, vocabulary, sequence_length, split):
        token_ids[start : start + len(batch)] = batch
        start += len(batch)
    return token_ids


def encode_cached(
    texts: Sequence[str],
    vocabulary: Sequence[str],
    sequence_length: int,
    split: SplitAt = "whitespace",
) -> np.ndarray:
    """Return the same as `encode`, as a read-only array mapped from a file in the cache.

    The file is written batch by batch, so the whole array is never in memory.

    Raises:
      ValueError: as for `encode`.
      ModuleNotFoundError: the array is not in the cache, and TensorFlow is not installed.
    """
    _check_encoding(texts, vocabulary, sequence_length)

    def build(folder: Path) -> None:
        # Not a mapped array: if the disk is full, the system kills who writes into one.
        shape = (len(texts), sequence_length)
        header = {"descr": "<i4", "fortran_order": False, "shape": shape}
        with (folder / "token_ids.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for token_ids in _encode_batches(texts, vocabulary, sequence_length, split):
                file.write(token_ids.tobytes())

    key = {
        "format": _CACHE_FORMAT,
        "texts": _digest(as_bytes(text) for text in texts),
        "vocabulary": _digest(as_bytes(word) for word in vocabulary),
        "sequence_length": sequence_length,
        "split": split,
    }
    path = cache.cached("token_ids", key, build) / "token_ids.npy"
    token_ids: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return token_ids


def vocabulary_file(vocabulary: Sequence[str]) -> bytes:
    """Return the words as the content of a UTF-8 file, each followed by a line feed.

    Raises:
      ValueError: a word holds a line feed.
    """
    for word in vocabulary:
        if "\n" in word:
            raise ValueError(
                f"expected words without line feeds, received {word!r}; "
                "split texts at whitespace before counting words"
            )
    return "".join(f"{word}\n" for word in vocabulary).encode()


def read_vocabulary(path: Path) -> list[str]:
    """Read a file with the content of `vocabulary_file`.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: as `parse_vocabulary`.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"expected a vocabulary file at {path}, found none; pass the vocabulary.txt of a run"
        )
    return parse_vocabulary(path.read_bytes(), path)


def parse_vocabulary(content: bytes, path: Path) -> list[str]:
    """Return the words in the content of a vocabulary file.

    Args:
      content: its bytes, as `vocabulary_file` makes them.
      path: where it is, for the message of an error.

    Raises:
      ValueError: it is not UTF-8, ends within a word, does not start with `SPECIAL_WORDS`, or holds
        a word twice or one that is longer than those that are learned.
    """
    try:
        # Not splitlines, which also splits at characters that words may hold, such as U+0085.
        *vocabulary, rest = content.decode().split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"expected UTF-8 in {path}, received {error}; restore the file from its run"
        ) from error
    if rest or tuple(vocabulary[:2]) != SPECIAL_WORDS:
        raise ValueError(
            f"expected {path} to start with an empty line and a line '[UNK]', and to end with a "
            f"line feed, received {[word[:40] for word in vocabulary[:2]]} and {rest[:40]!r}; "
            "restore the file from its run"
        )
    longest = max(content.split(b"\n"), key=len)
    if len(set(vocabulary)) < len(vocabulary) or len(longest) > _LONGEST_WORD_BYTES:
        raise ValueError(
            f"expected in {path} each word once, of up to {_LONGEST_WORD_BYTES:,} bytes, received "
            f"{len(vocabulary):,} words, {len(set(vocabulary)):,} distinct, the longest "
            f"{longest.decode()[:40]!r} of {len(longest):,} bytes; restore the file from its run"
        )
    return vocabulary


def _check_texts(texts: Sequence[str]) -> None:
    if not texts:
        raise ValueError("expected one text or more, received none; check how the corpus is read")


def _check_encoding(texts: Sequence[str], vocabulary: Sequence[str], sequence_length: int) -> None:
    _check_texts(texts)
    if sequence_length < 1:
        raise ValueError(
            f"expected a sequence_length of 1 or more, received {sequence_length}; "
            "pass the number of words to keep of each text"
        )
    words = tuple(vocabulary)
    if words[:2] != SPECIAL_WORDS or len(words) < 3 or len(set(words)) < len(words):
        raise ValueError(
            "expected a vocabulary of '', '[UNK]' and at least one word, each word once, received "
            f"{len(words)} words ({len(set(words))} distinct) starting {list(words[:3])}; "
            "pass the result of learn_vocabulary"
        )


def _encode_batches(
    texts: Sequence[str], vocabulary: Sequence[str], sequence_length: int, split: SplitAt
) -> Iterator[np.ndarray]:
    """Yield `encode` of the texts in parts, `int32[examples, sequence_length]`."""
    vectorize = _vectorizer(tuple(vocabulary), sequence_length, split)
    for batch in _batches(texts):
        yield vectorize(batch).numpy().astype("<i4")


@functools.lru_cache(maxsize=2)  # so that the splits of a corpus share one
def _vectorizer(
    vocabulary: tuple[str, ...], sequence_length: int, split: SplitAt
) -> Callable[[list[bytes]], Any]:
    """Return a function from texts to a TensorFlow tensor, `int64[texts, sequence_length]`."""
    tf = _import_tensorflow()
    import keras

    layer = keras.layers.TextVectorization(
        vocabulary=list(vocabulary), output_sequence_length=sequence_length, split=split
    )
    # In a TensorFlow graph, the result stays a TensorFlow tensor on every backend. Otherwise Keras
    # would make it a JAX or PyTorch tensor, which travels to the GPU and back.
    vectorize = tf.function(layer, input_signature=[tf.TensorSpec([None], tf.string)])
    return lambda batch: vectorize(tf.constant(batch))


def _import_tensorflow() -> Any:
    """Import TensorFlow, which must leave the GPU to the backend that trains."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # no notes at start-up
    try:
        import keras  # noqa: F401  (it imports the backend of this process)

        tensorflow_only_tokenizes = "tensorflow" not in sys.modules
        import tensorflow as tf
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "expected TensorFlow, which splits texts into words, or a cache that holds the result, "
            f"found neither ({error}); run `pip install tensorflow`, or set RESEARCH_CACHE to a "
            "cache that was filled on a machine with TensorFlow"
        ) from error
    if tensorflow_only_tokenizes:
        # By default TensorFlow would reserve nearly all the memory of the GPU that JAX or PyTorch
        # is about to train on.
        tf.config.set_visible_devices([], "GPU")
    return tf


def _batches(texts: Sequence[str]) -> Iterator[list[bytes]]:
    """Yield the texts in lists that are limited in bytes, and in number.

    They are lists and not arrays, since NumPy pads every string to the length of the longest one.
    """
    batch: list[bytes] = []
    batch_bytes = 0
    for text in texts:
        batch.append(as_bytes(text))
        batch_bytes += len(batch[-1])
        if batch_bytes >= _BATCH_BYTES or len(batch) == _BATCH_TEXTS:
            yield batch
            batch, batch_bytes = [], 0
    if batch:
        yield batch


def as_bytes(text: str) -> bytes:
    """Return the text as UTF-8, without the characters that Keras and NumPy fail on.

    A lone surrogate, which UTF-8 cannot hold, becomes `?`, and is removed with the punctuation.
    NUL becomes U+FFFD, because NumPy drops NULs from the end of a word.
    """
    return text.replace("\0", "\ufffd").encode("utf-8", errors="replace")


def _without_long_words(batch: list[bytes]) -> list[bytes]:
    too_long = rb"\S{%d,}" % (_LONGEST_WORD_BYTES + 1)
    return [re.sub(too_long, b"", text) for text in batch]


def _digest(items: Iterable[bytes]) -> str:
    """Return one SHA-256 for a list of byte strings. It tells ["ab"] from ["a", "b"]."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(len(item).to_bytes(8, "little"))
        digest.update(item)
    return digest.hexdigest()
