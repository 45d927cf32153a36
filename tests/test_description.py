"""Statistics of a corpus."""

import os
from pathlib import Path

import numpy as np
import pytest

from research.data import corpora, description, newsgroups
from research.data.corpora import CorpusSource


def test_words_are_split_at_white_space() -> None:
    assert description.word_counts(["", " one ", "one two\n\tthree"]).tolist() == [0, 1, 3]


def test_the_share_kept() -> None:
    assert description.share_kept(np.array([0, 2, 4, 10]), 4) == (0.75, 10 / 16)
    with pytest.raises(ValueError, match="sequence length of 1 or more, received 0"):
        description.share_kept(np.array([1]), 0)


def test_duplicates_are_counted() -> None:
    splits = {
        "train": corpora.Split("train", ["A  b", "c", "d"], np.zeros(3, np.int32)),
        "test": corpora.Split("test", ["a b", "a\nB", "e"], np.zeros(3, np.int32)),
    }
    assert description.duplicates(corpora.Corpus("", "", [], splits, "")) == (3, {"test": 2})


def test_cross_posts_are_counted() -> None:
    posts = [f"From: x\nmessage-id: <{i}>\n\nMessage-ID: <9>" for i in (1, 1, 1, 2, 2, 3)]
    assert description.cross_posts(["a", "b", "a", "a", "a", "b"], posts) == (1, 3)


def test_what_leaks_in_the_real_posts() -> None:
    if "RESEARCH_NEWS20" not in os.environ:
        pytest.skip("RESEARCH_NEWS20 does not name a news20.tar.gz")
    path = Path(os.environ["RESEARCH_NEWS20"])
    tutorial = corpora.load(CorpusSource("news20", path))
    assert description.duplicates(tutorial) == (1_243, {"validation": 211})
    assert description.cross_posts(*newsgroups.read_posts(path)) == (520, 1_046)
    clean = corpora.load(CorpusSource("news20-clean", path), splits=None)
    assert description.duplicates(clean) == (1_313, {"validation": 0, "test": 0})
