"""Explanations: what each word adds to a label, worked out by hand and on a trained model."""

import functools

import numpy as np
import pytest
from conftest import TOPICS

import research
from research import train
from research.config import Config
from research.serving import explanation

WEIGHTS = np.array([0, 0, 0.5, -2, 4, 0, 1e-3])  # of token ids, for class 1


def additive(token_ids):
    """Give class 1 log-odds that are the sum of the weights of the words."""
    log_odds = WEIGHTS[token_ids].sum(axis=1) - 1
    of_one = 1 / (1 + np.exp(-log_odds))
    return np.stack([1 - of_one, of_one], axis=1).astype("float32")


def test_the_terms_of_a_sum_are_found():
    token_ids = np.array([6, 3, 4, 5, 2, 0, 0], "int32")
    words, contributions = explanation.contributions(token_ids, additive, 1)
    assert words.tolist() == [4, 3, 2, 6, 5]
    np.testing.assert_allclose(contributions, WEIGHTS[words], atol=1e-5)
    words, against = explanation.contributions(token_ids, additive, 0)
    assert words.tolist() == [4, 3, 2, 6, 5]
    np.testing.assert_allclose(against, -contributions, atol=1e-5)


def test_all_occurrences_of_a_word_are_left_out_together():
    words, contributions = explanation.contributions(np.array([2, 3, 2, 2], "int32"), additive, 1)
    assert words.tolist() == [3, 2]
    np.testing.assert_allclose(contributions, [-2, 1.5], atol=1e-5)


def test_all_else_stays_in_its_place():
    seen = []

    def predict(token_ids):
        seen.extend(token_ids.tolist())
        return additive(token_ids)

    explanation.contributions(np.array([4, 3, 4, 5, 0], "int32"), predict, 1)
    assert seen == [[0, 3, 0, 5, 0], [4, 0, 4, 5, 0], [4, 3, 4, 0, 0], [4, 3, 4, 5, 0]]


def test_words_differ_where_the_probability_is_one():
    def sure(token_ids):
        of_one = 1e-20 * np.where((token_ids == 2).any(axis=1), 1, 1e3)
        return np.stack([of_one, np.ones(len(token_ids))], axis=1).astype("float32")

    words, contributions = explanation.contributions(np.array([3, 2], "int32"), sure, 1)
    assert words.tolist() == [2, 3]
    np.testing.assert_allclose(contributions, [np.log(1e3), 0], rtol=1e-5)


def test_a_text_without_words_has_none():
    words, contributions = explanation.contributions(np.zeros(4, "int32"), additive, 0)
    assert (len(words), len(contributions)) == (0, 0)


def test_the_work_is_bounded(monkeypatch):
    monkeypatch.setattr(explanation, "MOST_WORDS", 3)
    monkeypatch.setattr(explanation, "_WORDS_AT_A_TIME", 2)
    rows = []

    def predict(token_ids):
        rows.append(len(token_ids))
        return additive(token_ids)

    words, contributions = explanation.contributions(np.array([5, 3, 2, 4], "int32"), predict, 1)
    assert words.tolist() == [3, 2, 5]  # the fourth word is not explained
    np.testing.assert_allclose(contributions, [-2, 0.5, 0], atol=1e-5)
    assert rows == [2, 1, 1]


# --- a trained model -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def classifier_of(tiny, tmp_path_factory):
    """Return a function that trains a model by name."""

    @functools.cache
    def classifier(model):
        options = tiny | {"learning_rate": 0.003, "batch_size": 16, "epochs": 6, "model": model}
        run = train.train("tiny", Config(**options), tmp_path_factory.mktemp(model) / "run")
        return research.load(run)

    return classifier


@pytest.mark.backend
@pytest.mark.parametrize(
    ("label", "own", "other"),
    [("space", "moon", "goal"), ("hockey", "goal", "oven"), ("cooking", "oven", "moon")],
)
def test_the_words_that_decide_come_first_with_their_sign(classifier_of, label, own, other):
    text = f"The {own.upper()}, of {other} it; {own}! zzz " * 5
    words = classifier_of("wide-deep").explain(text, label)
    assert {word for word, _ in words[:2]} == {own, other}
    assert {word for word, _ in words[2:]} == {"the", "of", "it", "[UNK]"}
    values = dict(words)
    assert values[other] < 0 < values[own]


@pytest.mark.backend
@pytest.mark.parametrize("label", TOPICS)
@pytest.mark.parametrize("model", ["tutorial", "wide-deep"])
def test_without_a_label_the_most_probable_one_is_explained(classifier_of, model, label):
    text = f"The {TOPICS[label]} of it " * 3
    words = classifier_of(model).explain(text)
    assert words == classifier_of(model).explain(text, label)
    word, contribution = words[0]
    assert word in TOPICS[label].split()
    assert contribution > 0
