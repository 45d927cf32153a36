"""Files of word vectors, in three formats that are told apart by their content.

- GloVe text: a line for each word, with the word and its numbers, separated by spaces.
- word2vec text, also fastText's `.vec`: the same after a first line "words dimension".
- word2vec binary: the same first line, then for each word the word, a space and float32 numbers.

Pages: https://nlp.stanford.edu/projects/glove/, https://code.google.com/archive/p/word2vec/,
https://fasttext.cc/docs/en/crawl-vectors.html
"""

import itertools
import mmap
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

Row = tuple[bytes, np.ndarray]
"""A word in UTF-8, and its vector as float32[embedding_dim]."""

_LONGEST_LINE_BYTES = 1 << 20
_LONGEST_WORD_BYTES = 1 << 16
_LARGEST_DIM = 10_000

_HEADER = re.compile(rb"(\d{1,18}) (\d{1,18})[ \r]*\n?")  # word2vec's first line: words dimension


def read_file(path: Path) -> Iterator[Row]:
    """Yield the words and vectors of a file in any of the formats.

    Raises:
      ValueError: the file is empty, ragged or cut short, or of another format; a word is not in
        UTF-8; a number is not finite.
    """
    with path.open("rb") as stream:
        header = _HEADER.fullmatch(stream.readline(_LONGEST_LINE_BYTES))
        second_line = stream.readline(_LONGEST_LINE_BYTES)
        if header and not _numbers_at_end(second_line):
            rows = _binary_rows(stream, int(header[1]), int(header[2]), str(path))
            yield from _checked(rows, str(path))
        else:
            stream.seek(0)
            yield from read_text(stream, str(path))


def read_text(stream: IO[bytes], source: str) -> Iterator[Row]:
    """Yield the words and vectors of a stream in one of the two text formats.

    Args:
      stream: the text, from its beginning.
      source: where it comes from, for error messages.

    Raises:
      ValueError: as `read_file`.
    """
    return _checked(_text_rows(stream, source), source)


def _text_rows(stream: IO[bytes], source: str) -> Iterator[Row]:
    lines = iter(lambda: stream.readline(_LONGEST_LINE_BYTES), b"")
    beginning = list(itertools.islice(lines, 100))
    header = _HEADER.fullmatch(beginning[0]) if beginning else None
    dim = int(header[2]) if header else _usual_dim(beginning)
    _check_dim(dim, source)

    number = 0
    for number, line in enumerate(itertools.chain(beginning, lines), start=1):
        if header and number == 1:
            continue
        # From the right, since some words hold spaces. fastText ends its lines with a space.
        word, *numbers = line.rstrip(b" \r\n").rsplit(b" ", dim)
        try:
            with np.errstate(over="ignore"):  # becomes infinite, which `_checked` refuses
                vector = np.array(numbers, np.float32)
        except ValueError:
            vector = np.empty(0, np.float32)
        if len(vector) != dim:
            raise _bad_file(source, f"a word and {dim} numbers", f"{line[:60]!r} in line {number}")
        yield word, vector
    if header and number - 1 != int(header[1]):
        raise _bad_file(source, f"{int(header[1]):,} words, as line 1 says", f"{number - 1:,}")


def _binary_rows(stream: IO[bytes], count: int, dim: int, source: str) -> Iterator[Row]:
    _check_dim(dim, source)
    # Memory grows with what is read, whatever the first line claims.
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(b"\n") + 1
        for number in range(1, count + 1):
            space = data.find(b" ", start, start + _LONGEST_WORD_BYTES)
            end = space + 1 + 4 * dim
            if space < 0 or end > len(data):
                raise _bad_file(
                    source,
                    f"{count:,} words of {dim} numbers each in word2vec's binary format, as line 1 "
                    "says (a text file would have numbers in line 2)",
                    f"the end of the file or another format at word {number:,}",
                )
            # Some programs write a line feed after each vector, others do not.
            yield data[start:space].lstrip(b"\n"), np.frombuffer(data[space + 1 : end], "<f4")
            start = end
        if data[start : start + 2] not in (b"", b"\n"):
            raise _bad_file(source, f"{count:,} words, as line 1 says", "more")


def _usual_dim(lines: Iterable[bytes]) -> int:
    """Return how many numbers most of the lines end with; in a tie, the larger number."""
    counts = Counter(_numbers_at_end(line) for line in lines)
    return max(counts, key=lambda dim: (counts[dim], dim), default=0)


def _numbers_at_end(line: bytes) -> int:
    """Count the numbers at the end of a line. Its first field always counts as a word."""
    fields = line.rstrip(b" \r\n").split(b" ")[1:]
    return sum(1 for _ in itertools.takewhile(_is_number, reversed(fields)))


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _check_dim(dim: int, source: str) -> None:
    if not 1 <= dim <= _LARGEST_DIM:
        raise _bad_file(
            source, f"vectors of 1 to {_LARGEST_DIM:,} numbers after each word", f"{dim}"
        )


def _checked(rows: Iterable[Row], source: str) -> Iterator[Row]:
    number = 0
    for number, (word, vector) in enumerate(rows, start=1):
        _check_row(word, vector, number, source)
        yield word, vector
    if number == 0:
        raise _bad_file(source, "one word or more", "none")


def _check_row(word: bytes, vector: np.ndarray, number: int, source: str) -> None:
    try:
        word.decode()
    except UnicodeDecodeError:
        raise _bad_file(source, "words in UTF-8", f"{word[:40]!r} as word {number:,}") from None
    if not word or b"\n" in word:
        raise _bad_file(source, "words without line feeds", f"{word[:40]!r} as word {number:,}")
    if not np.isfinite(vector).all():
        raise _bad_file(source, "finite numbers", f"NaN or infinity at word {number:,}, {word!r}")


def _bad_file(source: str, expected: str, received: str) -> ValueError:
    return ValueError(
        f"expected {expected}, received {received}; get {source} again, or use a file of vectors "
        "in GloVe's or word2vec's format"
    )
