"""A run as one object: what it takes, what it refuses, and that its examples run."""

import inspect
import re
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import TOPICS

import research
from research import train
from research.config import Config
from research.processes import backends

TEXTS = [*TOPICS.values(), "größer"]
EXAMPLE_RUN = "runs/newsgroups/jax-seed0"


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    options = tiny | {"epochs": 1}
    return train.train("tiny", Config(**options), tmp_path_factory.mktemp("classifier") / "run")


@pytest.fixture(scope="module")
def classifier(run):
    return research.load(run)


@pytest.mark.backend
def test_texts_come_in_any_form(classifier):
    expected = classifier.predict(TEXTS)
    assert (expected.shape, expected.dtype) == ((4, 3), np.float32)
    for texts in (
        tuple(TEXTS),
        np.array(TEXTS),
        np.array(TEXTS, object),
        pd.Series(TEXTS, index=[7, 7, 8, 9]),
        pd.Series(TEXTS, dtype=object),
        (text for text in TEXTS),
        dict.fromkeys(TEXTS).keys(),
    ):
        np.testing.assert_array_equal(classifier.predict(texts), expected)


@pytest.mark.backend
def test_no_texts_have_no_rows(classifier):
    for texts in ([], (), np.array([], str), pd.Series([], dtype=object), iter([])):
        assert classifier.predict(texts).shape == (0, 3)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("text", "a list of strings, received 'text'; put a single text into a list"),
        (b"text", "a list of strings, received b'text'; put"),
        (None, "one-dimensional array or a Series of strings, received NoneType;"),
        (7, "received int; give the texts alone"),
        ({"text": ["a"]}, "received dict; give the texts alone, such as one column"),
        (pd.DataFrame({"text": ["a"]}), "received DataFrame; give the texts alone"),
        (np.array([["a"]]), "received ndarray"),
        (np.array("a"), "received ndarray"),
        (["a", b"b"], "only strings, received b'b' of type bytes as element 1; decode"),
        (["a", "b", None], "received None of type NoneType as element 2"),
        (pd.Series(["a", None]), "received nan of type float as element 1"),
        (pd.Series(["a", pd.NA], dtype="string"), "of type NAType as element 1"),
        (np.array(["a", np.nan], object), "received nan of type float as element 1"),
        (np.array([1, 2]), r"received .*1.* of type int64 as element 0"),
        ((text for text in ["a", 3]), "received 3 of type int as element 1"),
        ([b"b" * 10**6], "as element 0"),
    ],
)
def test_what_is_no_text_is_named(classifier, texts, message):
    with pytest.raises(ValueError, match=message) as raised:
        classifier.predict(texts)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


def test_what_cannot_be_explained(classifier):
    with pytest.raises(ValueError, match="only strings, received None"):
        classifier.explain(None)
    with pytest.raises(ValueError, match=r"the label .*, received 'spcae'; did you mean 'space'\?"):
        classifier.explain("moon", "spcae")


def test_a_text_that_was_split_into_characters_is_explained_by_them(classifier):
    by_character = replace(classifier, config=replace(classifier.config, split="character"))
    assert {word for word, _ in by_character.explain("aab")} == {"a", "[UNK]"}
    assert {word for word, _ in classifier.explain("aab")} == {"[UNK]"}


def test_its_repr_is_short(classifier):
    shown = "Classifier(model='tutorial', words=156, classes=['cooking', 'hockey', 'space'])"
    assert repr(classifier) == shown
    many = replace(classifier, classes=["\x1b[31m" + "x" * 20_000] * 1_000)
    assert len(repr(many)) < 300
    assert repr(many).isprintable()


# --- examples ------------------------------------------------------------------------------------


def examples(*documented):
    """Return the code of the examples in docstrings."""
    found = []
    for of in documented:
        for block in re.findall(r"^ *Example:\n((?:(?:  .*)?\n?)+)", inspect.getdoc(of), re.M):
            found.append(textwrap.dedent(block))
    return found


@pytest.mark.backend
def test_the_examples_of_docstrings_run(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    place = Path(EXAMPLE_RUN)
    place.parent.mkdir(parents=True)
    place.symlink_to(run)
    backends.select()
    from research.serving.classifier import Classifier

    codes = examples(research.load, Classifier, Classifier.predict, Classifier.explain)
    assert len(codes) == 4
    for code in codes:
        assert EXAMPLE_RUN in code
        exec(code, {"research": research, "pandas": pd})
    assert len(capsys.readouterr().out.splitlines()) == 3  # `explain` prints three words
