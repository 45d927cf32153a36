"""A corpus and vectors small enough that a whole run takes seconds."""

from pathlib import Path

import numpy as np
import pytest

from research.processes import backends

backends.select()

TOPICS = {
    "space": "orbit moon rocket launch shuttle",
    "hockey": "goal puck ice skate referee",
    "cooking": "oven salt dough butter spoon",
}
COMMON = ["the", "a", "of", "and", "to", "in", "is", "it", "was", "for"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Nobody's real cache is read or written, and tests share one, as runs do."""
    cache = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("RESEARCH_CACHE", str(cache))
    return cache


def write_corpus(folder: Path, documents_per_class: int = 60) -> Path:
    """Writes class folders with texts of 20 to 60 words, half of them about their topic."""
    generator = np.random.default_rng(0)
    for topic, words in TOPICS.items():
        (folder / topic).mkdir(parents=True)
        for number in range(documents_per_class):
            length = generator.integers(20, 60)
            about = generator.random(length) < 0.5
            text = " ".join(
                generator.choice(words.split() if is_about else COMMON) for is_about in about
            )
            (folder / topic / f"{number:03}.txt").write_text(f"{text} {topic}{number}")
    return folder


def write_vectors(path: Path) -> Path:
    """Writes 8-dimensional vectors of the words above, in GloVe's text format."""
    generator = np.random.default_rng(1)
    words = [word for topic in TOPICS.values() for word in topic.split()] + COMMON
    path.write_text(
        "".join(f"{word} {' '.join(map(str, generator.normal(size=8)))}\n" for word in words)
    )
    return path


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Options of a run that takes a second or two, on 180 documents in 3 classes."""
    folder = tmp_path_factory.mktemp("tiny")
    return {
        "corpus": "folder",
        "corpus_path": write_corpus(folder / "corpus"),
        "vectors": str(write_vectors(folder / "vectors.txt")),
        "sequence_length": 150,
        "vocabulary_size": 200,
        "batch_size": 32,
        "epochs": 2,
    }


def options(tiny: dict) -> list[str]:
    """Returns the options as a command line takes them."""
    return [
        part for name, value in tiny.items() for part in (f"--{name.replace('_', '-')}", str(value))
    ]
