"""Vocabularies and token numbers, against a plain Python version of the documented rules."""

import string
import sys
import types
from collections import Counter
from unittest import mock

import numpy as np
import pytest
from conftest import python
from hypothesis import given, settings
from hypothesis import strategies as st

from research.data import tokens

TEXTS = ["The cat, the dog.", "the CAT!"]
VOCABULARY = ["", "[UNK]", "the", "cat", "dog"]


@pytest.fixture
def no_tensorflow(monkeypatch):
    def refuse():
        raise AssertionError("not in the cache")

    monkeypatch.setattr(tokens, "_import_tensorflow", refuse)
    tokens._vectorizer.cache_clear()


# What TextVectorization documents, in plain Python. Like it, the methods of bytes know only ASCII.


def words_of(text: str) -> list[bytes]:
    replaced = text.replace("\0", "\ufffd").encode(errors="replace")
    return replaced.lower().translate(None, string.punctuation.encode()).split()


def plain_vocabulary(texts: list[str], vocabulary_size: int) -> list[str]:
    counts = Counter(word for text in texts for word in words_of(text))
    by_count = sorted(counts, key=lambda word: (counts[word], word), reverse=True)
    return ["", "[UNK]", *(word.decode() for word in by_count)][:vocabulary_size]


def plain_encode(texts: list[str], vocabulary: list[str], sequence_length: int) -> list[list[int]]:
    index = {word: i for i, word in enumerate(vocabulary)}
    known = [[index.get(word.decode(), 1) for word in words_of(text)] for text in texts]
    return [(ids + [0] * sequence_length)[:sequence_length] for ids in known]


# A few letters, so that words repeat, and characters that are often handled wrongly.
unusual_characters = st.sampled_from(
    "aAbB ,.!'[]\n\r\t\0\x1c\x85\xa0\u2028\u3000éÉßİ\ud800\udfff😀"
)
unusual_texts = st.lists(
    st.text(unusual_characters, max_size=30) | st.text(), min_size=1, max_size=8
)


@pytest.mark.backend
@settings(max_examples=25, deadline=None)
@given(unusual_texts, st.integers(3, 20), st.integers(1, 12))
def test_equals_the_plain_python_of_the_documentation(texts, vocabulary_size, sequence_length):
    texts = [*texts, "some words"]
    vocabulary = tokens.learn_vocabulary(texts, vocabulary_size)
    assert vocabulary == plain_vocabulary(texts, vocabulary_size)
    expected = plain_encode(texts, vocabulary, sequence_length)
    assert tokens.encode(texts, vocabulary, sequence_length).tolist() == expected


@pytest.mark.backend
def test_learn_and_encode():
    assert tokens.learn_vocabulary(TEXTS, 10) == VOCABULARY
    assert tokens.learn_vocabulary(TEXTS, 4) == VOCABULARY[:4]
    token_ids = tokens.encode([*TEXTS, "", "?!", "a bird"], VOCABULARY, 3)
    assert token_ids.tolist() == [[2, 3, 2], [2, 3, 0], [0, 0, 0], [0, 0, 0], [1, 1, 0]]
    assert token_ids.dtype == np.int32


@pytest.mark.backend
def test_many_batches_keep_their_order():
    texts = [f"word{i % 7}" for i in range(3 * tokens._BATCH_TEXTS + 1)]
    vocabulary = ["", "[UNK]", *(f"word{i}" for i in range(7))]
    expected = [2 + i % 7 for i in range(len(texts))]
    assert tokens.encode(texts, vocabulary, 1)[:, 0].tolist() == expected


@pytest.mark.backend
def test_cached_arrays_are_equal_and_read_only():
    token_ids = tokens.encode_cached(TEXTS, VOCABULARY, 5)
    np.testing.assert_array_equal(token_ids, tokens.encode(TEXTS, VOCABULARY, 5))
    assert isinstance(token_ids, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        token_ids[0, 0] = 1


def test_a_second_call_comes_from_the_cache(request):
    before = tokens.learn_vocabulary(TEXTS, 5), tokens.encode_cached(TEXTS, VOCABULARY, 4)
    request.getfixturevalue("no_tensorflow")
    assert tokens.learn_vocabulary(TEXTS, 5) == before[0]
    np.testing.assert_array_equal(tokens.encode_cached(TEXTS, VOCABULARY, 4), before[1])


def test_everything_that_matters_is_part_of_the_key(request):
    tokens.learn_vocabulary(["ab", "c"], 5)
    tokens.encode_cached(["ab", "c"], VOCABULARY, 4)
    request.getfixturevalue("no_tensorflow")
    for texts, vocabulary, length in [
        (["a", "bc"], VOCABULARY, 4),
        (["ab", "c"], [*VOCABULARY, "bird"], 4),
        (["ab", "c"], VOCABULARY, 5),
    ]:
        with pytest.raises(AssertionError, match="not in the cache"):
            tokens.encode_cached(texts, vocabulary, length)
    for texts, size in [(["a", "bc"], 5), (["ab", "c"], 6)]:
        with pytest.raises(AssertionError, match="not in the cache"):
            tokens.learn_vocabulary(texts, size)


@pytest.mark.backend
def test_one_huge_text_does_not_make_its_neighbours_huge():
    resource = pytest.importorskip("resource")
    texts = ["short text"] * 500 + ["word " * 2_000_000] + ["short text"] * 500
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    vocabulary = tokens.learn_vocabulary(texts, 100)
    assert vocabulary == ["", "[UNK]", "word", "text", "short"]
    assert tokens.encode(texts, vocabulary, 4)[499:502].tolist() == [
        [4, 3, 0, 0],
        [2, 2, 2, 2],
        [4, 3, 0, 0],
    ]
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 1 << 20  # an array of strings would take 1,001 times 10 MB


@pytest.mark.backend
def test_a_huge_word_is_not_learned():
    texts = ["a b " + "x" * 10_000_000, "y" * 1_000 + " " + "z" * 1_001]
    vocabulary = tokens.learn_vocabulary(texts, 10)
    assert vocabulary == ["", "[UNK]", "y" * 1_000, "b", "a"]
    assert tokens.encode(texts, vocabulary, 3).tolist() == [[4, 3, 1], [2, 1, 0]]


WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), min_size=1)


@given(st.lists(WORDS.filter(lambda word: word != "[UNK]"), unique=True))
def test_vocabulary_file_round_trip(tmp_path_factory, words):
    path = tmp_path_factory.getbasetemp() / "vocabulary.txt"
    path.write_bytes(tokens.vocabulary_file(["", "[UNK]", *words]))
    assert tokens.read_vocabulary(path) == ["", "[UNK]", *words]


@pytest.mark.parametrize("content", [b"", b"\n[UNK]\nhalf", b"the\nof\n", b"\n[UNK]\n\xff\n"])
def test_a_damaged_vocabulary_file_is_refused(content, tmp_path):
    path = tmp_path / "vocabulary.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"expected .*, received .*; restore the file"):
        tokens.read_vocabulary(path)


def test_a_missing_vocabulary_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a vocabulary file"):
        tokens.read_vocabulary(tmp_path / "vocabulary.txt")


def test_a_word_with_a_line_feed_is_refused():
    with pytest.raises(ValueError, match="line feeds"):
        tokens.vocabulary_file(["", "[UNK]", "a\nb"])


@pytest.mark.parametrize(
    ("texts", "size", "message"),
    [
        ([], 10, "expected one text or more, received none"),
        (TEXTS, 2, "expected a vocabulary_size of 3 or more, received 2"),
        (["", " ?!"], 10, "expected texts that hold words, received 2 texts without words"),
    ],
)
def test_refusals_of_learn_vocabulary(texts, size, message):
    with pytest.raises(ValueError, match=message):
        tokens.learn_vocabulary(texts, size)


@pytest.mark.parametrize("encode", [tokens.encode, tokens.encode_cached])
@pytest.mark.parametrize(
    ("texts", "vocabulary", "length", "message"),
    [
        ([], VOCABULARY, 3, "expected one text or more"),
        (TEXTS, VOCABULARY, 0, "expected a sequence_length of 1 or more, received 0"),
        (TEXTS, ["the", "cat"], 3, "expected a vocabulary of '', '\\[UNK\\]'"),
        (TEXTS, ["", "[UNK]"], 3, "received 2 words"),
        (TEXTS, ["", "[UNK]", "a", "a"], 3, "3 distinct"),
    ],
)
def test_refusals_of_encode(encode, texts, vocabulary, length, message):
    with pytest.raises(ValueError, match=message):
        encode(texts, vocabulary, length)


@pytest.mark.parametrize("already_imported", [False, True])
def test_tensorflow_takes_no_gpu_unless_it_is_the_backend(already_imported, tmp_path, monkeypatch):
    (tmp_path / "tensorflow.py").write_text(
        "hidden = []\n"
        "class config:\n"
        "    set_visible_devices = lambda devices, kind: hidden.append((devices, kind))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with mock.patch.dict(sys.modules, keras=types.ModuleType("keras")):
        sys.modules.pop("tensorflow", None)
        if already_imported:
            import tensorflow  # noqa: F401
        hidden = tokens._import_tensorflow().hidden
    assert hidden == ([] if already_imported else [([], "GPU")])


WITHOUT_TENSORFLOW = """
import os, sys

sys.modules["tensorflow"] = None  # Python's way to say that it is not installed
import keras
from research.data import tokens

vocabulary = tokens.learn_vocabulary(["the cat", "the dog"], 10)
print(keras.backend.backend(), vocabulary, tokens.encode_cached(["a cat"], vocabulary, 3).tolist())
assert sys.modules["tensorflow"] is None
assert not any(name.startswith("tensorflow.") for name in sys.modules)

os.environ["RESEARCH_CACHE"] += "-cold"
for work in [
    lambda: tokens.learn_vocabulary(["the cat", "the dog"], 10),
    lambda: tokens.encode_cached(["a cat"], vocabulary, 3),
    lambda: tokens.encode(["a cat"], vocabulary, 3),
]:
    try:
        work()
    except ModuleNotFoundError as error:
        print(error)
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.slow
def test_a_warm_cache_needs_no_tensorflow_and_a_cold_one_says_so(backend):
    pytest.importorskip(backend)
    vocabulary = tokens.learn_vocabulary(["the cat", "the dog"], 10)
    tokens.encode_cached(["a cat"], vocabulary, 3)
    answer = python("-c", WITHOUT_TENSORFLOW, environment={"KERAS_BACKEND": backend})
    assert answer.code == 0, answer.err
    warm, *cold = answer.out.splitlines()
    assert warm == f"{backend} ['', '[UNK]', 'the', 'dog', 'cat'] [[1, 4, 0]]"
    assert len(cold) == 3
    for line in cold:
        assert line.startswith("expected TensorFlow, which splits texts into words")
        assert "pip install tensorflow" in line


@pytest.mark.backend
def test_characters_can_be_tokens():
    texts = ["日本 Ab", "日\n本本"]
    vocabulary = tokens.learn_vocabulary(texts, 20, "character")
    assert vocabulary[:3] == ["", "[UNK]", "本"]
    assert set(vocabulary[2:]) == {"日", "本", " ", "a", "b"}
    found = tokens.encode(texts, vocabulary, 6, "character")
    words = [[vocabulary[i] for i in row] for row in found]
    assert words == [["日", "本", " ", "a", "b", ""], ["日", "[UNK]", "本", "本", "", ""]]
    np.testing.assert_array_equal(tokens.encode_cached(texts, vocabulary, 6, "character"), found)
