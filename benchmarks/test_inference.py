"""Times everything but training: labels for texts, texts to integers, vectors from the cache.

One of these tests is run by a process of its own: `python -m benchmarks.run` starts them all.
Weights have their initial values, since no time depends on them.
"""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from benchmarks import check, peers_tutorial, timing
from benchmarks.work import SLICE_TEXTS, Work
from research.data import tokens, word_vectors
from research.training.inference import predict_probabilities
from research.serving.classifier import Classifier
from research.processes.memory import keep_freed_memory
from research.config import Config


def test_keras_predict(benchmark: Any, work: Work, quick: bool) -> None:
    """Token ids to probabilities by `model.predict` of the tutorial's network."""
    model = peers_tutorial.network(work.matrix, len(work.class_names))
    token_ids = np.array(work.new_token_ids, "int64")
    timing.rounds(
        benchmark, quick, lambda: model.predict(token_ids, verbose=0), units=len(token_ids)
    )


def test_our_predict(benchmark: Any, work: Work, quick: bool) -> None:
    """Token ids to probabilities our way."""
    keep_freed_memory()
    model = check.model(work)
    timing.rounds(
        benchmark,
        quick,
        lambda: predict_probabilities(model, work.new_token_ids),
        units=len(work.new_token_ids),
    )


def test_our_labels(benchmark: Any, work: Work, quick: bool) -> None:
    """Strings to labels by the object that `research.load` returns."""
    keep_freed_memory()
    config = Config(vocabulary_size=len(work.vocabulary), sequence_length=work.token_ids.shape[1])
    classifier = Classifier(config, work.class_names, work.vocabulary, check.model(work))
    timing.rounds(
        benchmark,
        quick,
        lambda: classifier.predict(work.new_texts).argmax(axis=1),
        units=len(work.new_texts),
    )


def test_sklearn_labels(benchmark: Any, work: Work, quick: bool) -> None:
    """Strings to labels by scikit-learn, trained on the train split."""
    pipeline = make_pipeline(TfidfVectorizer(sublinear_tf=True), LinearSVC())
    pipeline.fit(work.texts, work.labels)
    timing.rounds(
        benchmark, quick, lambda: pipeline.predict(work.new_texts), units=len(work.new_texts)
    )


def test_our_tokens(
    benchmark: Any, work: Work, quick: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Texts to a vocabulary and integers our way, from an empty cache in each round."""
    texts = work.texts[:SLICE_TEXTS]
    rounds = itertools.count()

    def tokenize() -> None:
        monkeypatch.setenv("RESEARCH_CACHE", str(tmp_path / str(next(rounds))))
        vocabulary = tokens.learn_vocabulary(texts, len(work.vocabulary))
        tokens.encode(texts, vocabulary, work.token_ids.shape[1])

    timing.rounds(benchmark, quick, tokenize, units=len(texts))


def test_tutorial_tokens(benchmark: Any, work: Work, quick: bool) -> None:
    """Texts to a vocabulary and integers as the tutorial has it."""
    texts = work.texts[:SLICE_TEXTS]
    timing.rounds(
        benchmark,
        quick,
        lambda: peers_tutorial.token_ids(texts, len(work.vocabulary), work.token_ids.shape[1]),
        units=len(texts),
    )


def test_vectors(
    benchmark: Any, work: Work, quick: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The vectors of the vocabulary, from the cache to a matrix."""
    name = "glove.6B.50d"
    if quick:  # a file made up of the same words
        monkeypatch.setenv("RESEARCH_CACHE", str(tmp_path / "cache"))
        lines = (
            " ".join([word, *map(str, vector)])
            for word, vector in zip(work.vocabulary[2:], work.matrix[2:], strict=True)
        )
        (tmp_path / "vectors.txt").write_text("".join(f"{line}\n" for line in lines))
        name = str(tmp_path / "vectors.txt")
    words = len(word_vectors.load_vectors(name).words)  # now they are in the cache
    timing.rounds(
        benchmark,
        quick,
        lambda: word_vectors.embedding_matrix(word_vectors.load_vectors(name), work.vocabulary),
        units=words,
    )
