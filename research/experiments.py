"""Experiments by name, each a row of a table: its source and its options.

`python -m research.train NAME` runs one, `python -m research.evaluate RUN --record PATH` scores it.
An experiment's name is that of a protocol and a variant, such as `r8-finetuned`.
"""

import shutil
from dataclasses import replace
from typing import Any

from research.config import Config
from research.data import corpora
from research.processes.choices import choose

# What is learned from and scored on. The network is the one of the Keras tutorial "Using
# pre-trained word embeddings", https://keras.io/examples/nlp/pretrained_word_embeddings/ (François
# Chollet, 2020), which `Config` has by default. The tutorial takes GloVe with 100 dimensions, and
# so does the experiment `tutorial`. The default is 50, which pip alone can fetch.
PROTOCOLS = {
    # Posts of later dates than those learned from: the official split.
    "newsgroups": "news20-bydate",
    # The tutorial's own protocol: every post, a random 80/20 split, no test split.
    "tutorial": "news20",
    # The same posts without headers; copies and cross-posts of a post stay in one split.
    "clean": "news20-clean",
    # Newswire: Reuters-21578 with 8 and with 52 classes.
    "r8": "r8",
    "r52": "r52",
    # Text GCN's splits of 20 Newsgroups with headers, of medical abstracts, and of sentences.
    "20ng": "20ng",
    "ohsumed": "ohsumed",
    "mr": "mr",
}

# The best model for texts of any length, and what we recommend for texts of your own. All options
# were chosen by cross-validation within the train splits of six corpora (results/LOG.md), and are
# the same for all. How many epochs suit a corpus is chosen on its validation split.
BEST: dict[str, Any] = {
    "model": "wide-deep",
    "vectors": "glove.6B.100d-partial",
    "vocabulary_size": 200_000,
    "sequence_length": 1_000,
    "trainable_embeddings": True,
    "optimizer": "adam",
    "learning_rate": 0.003,
    "learning_rate_schedule": "linear",
    "batch_size": 64,
    "epochs": 20,
    "monitor": "loss",
    "patience": 3,
}

# CNN-non-static of Kim 2014, "Convolutional Neural Networks for Sentence Classification",
# https://aclanthology.org/D14-1181. Adam replaces Adadelta and its norm constraint; 400 tokens,
# since many texts are longer than sentences.
KIM: dict[str, Any] = {
    "model": "kim",
    "trainable_embeddings": True,
    "missing_vectors": "random",
    "sequence_length": 400,
    "optimizer": "adam",
    "batch_size": 64,
    "epochs": 10,
}

_100D = {"vectors": "glove.6B.100d-partial"}
VARIANTS: dict[str, dict[str, Any]] = {
    "": {},
    "-finetuned": {"trainable_embeddings": True},
    "-random": {"trainable_embeddings": True, "vectors": "random.50d"},
    "-100d": _100D,
    "-100d-finetuned": _100D | {"trainable_embeddings": True},
    "-100d-random": {"trainable_embeddings": True, "vectors": "random.100d"},
    "-bfloat16": {"precision": "mixed_bfloat16"},
    "-kim": KIM | _100D,
    "-best": BEST,
}

_ABOUT_VARIANTS = {
    "": "the tutorial's network, frozen GloVe vectors of 50 dimensions; tutorial has 100, "
    "tutorial-50d 50",
    "-finetuned": "the vectors are trained too",
    "-random": "they begin as random numbers, and are trained",
    "-100d": "100 dimensions; also -100d-finetuned and -100d-random",
    "-bfloat16": "half the precision: does it cost accuracy?",
    "-kim": "the network of Kim 2014",
    "-best": "the most accurate model, with one set of options for all corpora",
}

OF_PROTOCOL: dict[str, dict[str, Any]] = {
    # As it is written. The whole vectors are only at Stanford; tutorial-100d has most of them.
    "tutorial": {"vectors": "glove.6B.100d"},
    # Without a test split, validation is what a table reports, so nothing is chosen on it.
    "tutorial-best": {"train_on": "nine-tenths-of-train"},
}

EXPERIMENTS = {
    name + variant: Config(corpus=corpus, **options | OF_PROTOCOL.get(name + variant, {}))
    for variant, options in VARIANTS.items()
    for name, corpus in PROTOCOLS.items()
} | {
    "tutorial-50d": Config(corpus="news20"),
    "kim": Config(**KIM),
    "best": Config(**BEST),
}
"""What `python -m research.train` takes, with the options of each."""


def recommended() -> Config:
    """Return the options for texts of your own: `best`, with word vectors that can be fetched.

    Those of `best` come with npm. Without npm they are GloVe's with 50 dimensions, from pip.
    """
    best = get("best")
    return best if shutil.which("npm") else replace(best, vectors="glove.6B.50d")


def overview() -> str:
    """Return what the experiments are, in a line each, for a person."""

    def lines(about: dict[str, str]) -> str:
        width = max(map(len, about)) + 2
        return "\n".join(f"  {name:{width}}{what}" for name, what in about.items())

    own = {
        "best": "what we recommend, for texts of your own; so does --corpus without an experiment",
        "kim": "the network of Kim 2014, likewise",
    }
    protocols = {name: corpora.CORPORA[corpus] for name, corpus in PROTOCOLS.items()}
    variants = {name or "(nothing)": about for name, about in _ABOUT_VARIANTS.items()}
    return (
        f"Experiments for any corpus:\n{lines(own)}\n"
        f"\nExperiments of the tables are a corpus:\n{lines(protocols)}\n"
        f"\nfollowed by a variant, as in r8-finetuned:\n{lines(variants)}"
    )


def get(name: str) -> Config:
    """Return the options of the experiment `name`.

    Raises:
      ValueError: there is no such experiment; the message suggests the nearest one.
    """
    return EXPERIMENTS[choose("the experiment", name, EXPERIMENTS)]
