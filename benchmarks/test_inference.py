"""Times everything except training: labels for texts, tokenizing, vectors from the cache.

Each test runs in a process that `python -m benchmarks.run` starts. Models have their initial
weights, since no time depends on them.
"""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from benchmarks import timing
from benchmarks.effort import Effort
from benchmarks.peers import tutorial
from benchmarks.workload import TOKENIZED_TEXTS, Workload, network
from research.config import Config
from research.data import tokens, word_vectors
from research.processes.memory import keep_freed_memory
from research.serving.classifier import Classifier
from research.training.inference import predict_probabilities


def test_keras_predict(benchmark: Any, workload: Workload, effort: Effort) -> None:
    """Token ids to probabilities by `model.predict` of the tutorial's network."""
    model = tutorial.network(workload.matrix, len(workload.class_names))
    token_ids = np.array(workload.new_token_ids, "int64")
    timing.rounds(
        benchmark, effort, lambda: model.predict(token_ids, verbose=0), units=len(token_ids)
    )


def test_our_predict(benchmark: Any, workload: Workload, effort: Effort) -> None:
    """Token ids to probabilities by our code."""
    keep_freed_memory()  # as our commands do
    model, token_ids = network(workload), workload.new_token_ids
    timing.rounds(
        benchmark, effort, lambda: predict_probabilities(model, token_ids), units=len(token_ids)
    )


def test_our_labels(benchmark: Any, workload: Workload, effort: Effort) -> None:
    """Strings to labels by the object that `research.load` returns."""
    keep_freed_memory()
    vocabulary, texts = workload.vocabulary, workload.new_texts
    sequence_length = workload.token_ids.shape[1]
    config = Config(vocabulary_size=len(vocabulary), sequence_length=sequence_length)
    classifier = Classifier(config, workload.class_names, vocabulary, network(workload))
    timing.rounds(
        benchmark, effort, lambda: classifier.predict(texts).argmax(axis=1), units=len(texts)
    )


def test_sklearn_labels(benchmark: Any, workload: Workload, effort: Effort) -> None:
    """Strings to labels by scikit-learn, trained on the train split."""
    pipeline = make_pipeline(TfidfVectorizer(sublinear_tf=True), LinearSVC())
    pipeline.fit(workload.texts, workload.labels)
    texts = workload.new_texts
    timing.rounds(benchmark, effort, lambda: pipeline.predict(texts), units=len(texts))


def test_our_tokens(
    benchmark: Any,
    workload: Workload,
    effort: Effort,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Texts to a vocabulary and token ids by our code, from an empty cache in each round."""
    texts = workload.texts[:TOKENIZED_TEXTS]
    rounds = itertools.count()

    def tokenize() -> None:
        monkeypatch.setenv("RESEARCH_CACHE", str(tmp_path / str(next(rounds))))
        vocabulary = tokens.learn_vocabulary(texts, len(workload.vocabulary))
        tokens.encode(texts, vocabulary, workload.token_ids.shape[1])

    timing.rounds(benchmark, effort, tokenize, units=len(texts))


def test_tutorial_tokens(benchmark: Any, workload: Workload, effort: Effort) -> None:
    """Texts to a vocabulary and token ids by the tutorial's code."""
    texts = workload.texts[:TOKENIZED_TEXTS]
    sizes = len(workload.vocabulary), workload.token_ids.shape[1]
    timing.rounds(benchmark, effort, lambda: tutorial.token_ids(texts, *sizes), units=len(texts))


def test_vectors(
    benchmark: Any,
    workload: Workload,
    effort: Effort,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The vectors of the vocabulary, from the cache to a matrix."""
    name, vocabulary = "glove.6B.50d", workload.vocabulary
    if effort.is_tiny:  # a file with vectors of the same words
        monkeypatch.setenv("RESEARCH_CACHE", str(tmp_path / "cache"))
        lines = (
            " ".join([word, *map(str, vector)])
            for word, vector in zip(vocabulary[2:], workload.matrix[2:], strict=True)
        )
        (tmp_path / "vectors.txt").write_text("".join(f"{line}\n" for line in lines))
        name = str(tmp_path / "vectors.txt")
    words = len(word_vectors.load_vectors(name).words)  # now they are in the cache
    timing.rounds(
        benchmark,
        effort,
        lambda: word_vectors.embedding_matrix(word_vectors.load_vectors(name), vocabulary),
        units=words,
    )
