"""What makes a result doubtful."""

import numpy as np
import pytest

from research.data import doubts


@pytest.mark.parametrize("text", ["今日はとても良い天気です", "สวัสดีชาวโลก", "今天天气很好 ok"])
def test_texts_without_spaces_between_words_are_noticed(text):
    [line] = doubts.about_language([text] * 3)
    assert "--split character" in line


@pytest.mark.parametrize(
    "text", ["a letter from 東京 arrived today", "오늘은 날씨가 좋다", "", "12"]
)
def test_texts_with_spaces_between_words_are_not(text):
    assert doubts.about_language([text]) == []


def test_texts_that_repeat_others_are_doubtful():
    [line] = doubts.about_copies(["lol", "LOL", "hello there", "bye"])
    assert line.startswith("25% of the texts")
    assert doubts.about_copies(["lol", "LOL", "a", "b", "c"]) == []
    assert doubts.about_copies([]) == []


def test_unknown_words_are_counted_without_padding():
    known = np.array([[2, 3, 0, 0], [4, 0, 0, 0]])
    half = np.array([[2, 1, 0, 0]])
    [line] = doubts.about_tokens(known, half, length=8)
    assert line.startswith("50% of the held-out texts' words")
    assert doubts.about_tokens(known, known, length=8) == []
    assert doubts.about_tokens(known, np.zeros((2, 4)), length=8) == []


def test_texts_that_fill_the_sequence_count_as_cut():
    ids = np.array([[2, 3], [2, 0], [2, 0], [2, 0]])
    [line] = doubts.about_tokens(ids, ids, length=2)
    assert line.startswith("25% of the texts have 2 tokens or more")
    # Trimmed to the longest text, so none was cut.
    assert doubts.about_tokens(ids, ids, length=3) == []


def test_a_choice_on_few_texts_is_doubtful():
    [line] = doubts.about_validation(25)
    assert "only 25 texts" in line
    assert "10%" in line
    assert doubts.about_validation(100) == []
