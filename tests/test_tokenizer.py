"""The tokenizer in plain Python: that it gives the token ids that TextVectorization gives."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from research.data import tokens
from research.data.tokenizer import Tokenizer

VOCABULARY = [
    *tokens.SPECIAL_WORDS,
    *("the", "dont", "a", "b", "x1", "größe", "straße", "i̇stanbul", "i̇", "kelvin", "a\u00a0b"),
    *("é", "e\u0301", "e", "\u0301", "你好", "你", "\U0001f680", "\ufffd", "a\ufffd", "\u2028"),
    *("\x1c", "\x85", "\u00a0", "\u03c3", "\u03c2", "\x7f", "unk", " ", "\t", "ß", "ss", "İ"),
]
LENGTH = 5

CHARACTERS = st.text()  # with lone surrogates
# Words of the vocabulary, also in capitals, and what may stand within or between them.
PIECES = st.one_of(
    st.sampled_from(VOCABULARY),
    st.sampled_from([word.upper() for word in VOCABULARY]),
    st.sampled_from([chr(code) for code in range(128)]),
    st.sampled_from(["\x1c", "\x85", "\u00a0", "\u2003", "\u2028", "\u3000", "\ufeff"]),
    st.sampled_from(["\ud800", "\udfff", "\ud83d\ude80", "\U0010ffff"]),
    CHARACTERS,
)
splits = pytest.mark.parametrize("split", ["whitespace", "character"])


def assert_encodes_as_text_vectorization(texts, split, length=LENGTH):
    token_ids = Tokenizer(VOCABULARY, length, split).encode(texts)
    assert token_ids.dtype == np.int32
    np.testing.assert_array_equal(token_ids, tokens.encode(texts, VOCABULARY, length, split))


@pytest.mark.backend
@splits
@settings(max_examples=300, deadline=None)
@given(texts=st.lists(CHARACTERS | st.lists(PIECES).map("".join), min_size=1, max_size=4))
def test_encodes_as_text_vectorization_does(split, texts):
    assert_encodes_as_text_vectorization(texts, split)


@splits
def test_treats_each_character_as_text_vectorization_does(split):
    codes = [
        *range(0x300),
        *range(0x2000, 0x2070),
        *(0x1E9E, 0x212A, 0x3000, 0xD800, 0xDFFF, 0xFB01, 0xFEFF, 0xFFFD, 0x1F680, 0x10FFFF),
    ]
    for form in ("the{0}dont a", "a{0}", "{0}{0} the", "{0}"):
        assert_encodes_as_text_vectorization([form.format(chr(code)) for code in codes], split)


@splits
@pytest.mark.parametrize("length", [1, 2, 300])
def test_pads_and_cuts_as_text_vectorization_does(split, length):
    texts = ["", " ", "?!", "\0", "\ud800", "the", "the a", "[UNK] the", "the " * 299 + "dont a b"]
    assert_encodes_as_text_vectorization(texts, split, length)


@splits
def test_encodes_long_texts_and_words(split):
    texts = ["the " * 500_000, "a" * 2_000_000, "." * 2_000_000 + "a", " " * 2_000_000 + "b"]
    assert_encodes_as_text_vectorization(texts, split)


def test_pairs_of_ascii_characters():
    pairs = itertools.product(map(chr, range(128)), repeat=2)
    assert_encodes_as_text_vectorization(["".join(pair) for pair in pairs], "whitespace")


def test_no_texts():
    assert Tokenizer(VOCABULARY, LENGTH).encode([]).shape == (0, LENGTH)
