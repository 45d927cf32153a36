"""The tokenizer in ONNX: that it gives the token ids that TextVectorization gives."""

import sys

import numpy as np
import pytest
from conftest import python
from hypothesis import given, settings
from hypothesis import strategies as st

from research.data import tokens

onnx = pytest.importorskip("onnx", reason="needs the extra export")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra export")
pytest.importorskip("onnxscript", reason="needs the extra export")

from research.serving import onnx_tokenizer  # noqa: E402  (needs onnxscript)

VOCABULARY = [
    *tokens.SPECIAL_WORDS,
    *("the", "dont", "a", "x1", "größe", "straße", "i̇stanbul", "kelvin", "a\u00a0b", "é"),
    *("e\u0301", "你好", "\U0001f680", "\ufffd", "a\ufffd", "\u2028", "\x1c", "\u03c3"),
    *("\u03c2", "\x7f", "unk"),
]
LENGTH = 5


@pytest.fixture(scope="module")
def model():
    return onnx_tokenizer.tokenizer(VOCABULARY, LENGTH)


@pytest.fixture(scope="module")
def tokenizer(model):
    session = onnxruntime.InferenceSession(model.SerializeToString())

    def run(texts):
        # As the example in a model card does.
        texts = [text.replace("\0", "\ufffd") for text in texts]
        return session.run(["token_ids"], {"texts": np.array(texts, object)})[0]

    return run


UNICODE = st.text(st.characters(exclude_categories=["Cs"]))
# Words of the vocabulary, also in capitals, and what may stand within or between them.
PIECES = st.one_of(
    st.sampled_from(VOCABULARY),
    st.sampled_from([word.upper() for word in VOCABULARY]),
    st.sampled_from([chr(code) for code in range(128)]),
    st.sampled_from([" ", "\t", "\n", "\v", "\f", "\r", "\x1c", "\x85", "\u00a0", "\u2003"]),
    UNICODE,
)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.one_of(UNICODE, st.lists(PIECES).map("".join)), min_size=1, max_size=4))
def test_onnx_tokenizes_as_text_vectorization_does(tokenizer, texts):
    np.testing.assert_array_equal(tokenizer(texts), tokens.encode(texts, VOCABULARY, LENGTH))


def test_onnx_treats_each_character_as_text_vectorization_does(tokenizer):
    codes = [*range(0x300), 0x130, 0x1E9E, 0x2028, 0x212A, 0x3000, 0xFB01, 0x1F680, 0x10FFFF]
    for texts in (
        [f"the{chr(code)}dont a" for code in codes],
        [f"a{chr(code)}" for code in codes],
        [f"{chr(code)}{chr(code)} the" for code in codes],
    ):
        np.testing.assert_array_equal(tokenizer(texts), tokens.encode(texts, VOCABULARY, LENGTH))


def test_onnx_tokenizes_any_number_of_texts(tokenizer):
    for texts in ([""], ["", " !"], ["the " * 1_000, ""], ["?a" * 3_000, "dont"], ["the"] * 300):
        np.testing.assert_array_equal(tokenizer(texts), tokens.encode(texts, VOCABULARY, LENGTH))


def test_the_model_is_as_the_format_demands(model):
    onnx.checker.check_model(model)


PEAK = """
import resource, sys
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
session.run(None, {"texts": np.array(["the " * 200_000, *["dont"] * 199], object)})
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux counts the peak in kilobytes")
def test_a_long_text_costs_no_memory_for_the_others(model, tmp_path):
    onnx.save(model, tmp_path / "tokenizer.onnx")
    answer = python("-c", PEAK, tmp_path / "tokenizer.onnx")
    assert answer.code == 0, answer.err
    assert int(answer.out) < 200_000_000  # padded to the longest, the words alone take 1.3 GB
