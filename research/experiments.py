"""Experiments by name, each a row of a table: its source and its options.

`python -m research.train NAME` runs one, `python -m research.evaluate RUN --record PATH` scores it.
An experiment's name is that of a protocol and a variant, such as `r8-finetuned`.
"""

from typing import Any

from research.config import Config
from research.processes.choices import choose

# What is learned from and scored on. The network is the one of the Keras tutorial "Using
# pre-trained word embeddings", https://keras.io/examples/nlp/pretrained_word_embeddings/ (François
# Chollet, 2020), which `Config` has by default. The tutorial takes GloVe with 100 dimensions; the
# default here is 50, which a package registry carries.
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
}

# The best model known for 50-dimensional vectors and two CPU cores. Its options were chosen by
# cross-validation within train; none is left to choose on validation, so it learns from that too.
# Epochs amount to about 1,000 steps, so larger corpora need fewer.
BEST: dict[str, Any] = {
    "model": "wide-deep",
    "vocabulary_size": 200_000,
    "sequence_length": 400,
    "trainable_embeddings": True,
    "optimizer": "adam",
    "learning_rate": 0.003,
    "learning_rate_schedule": "linear",
    "batch_size": 64,
    "train_on": "train+validation",
    "epochs": 10,
}

VARIANTS: dict[str, dict[str, Any]] = {
    "": {},  # frozen GloVe vectors
    "-finetuned": {"trainable_embeddings": True},
    "-random": {"trainable_embeddings": True, "vectors": "random.50d"},
    "-bfloat16": {"precision": "mixed_bfloat16"},  # does half the precision cost accuracy?
    "-best": BEST,
}

# Without a test split, validation is what a table reports, so it is not learned from.
BEST_OF_PROTOCOL: dict[str, dict[str, Any]] = {
    "newsgroups-best": {"epochs": 6},
    "tutorial-best": {"epochs": 4, "train_on": "train"},
    "clean-best": {"epochs": 4},
}

# CNN-non-static of Kim 2014, "Convolutional Neural Networks for Sentence Classification",
# https://aclanthology.org/D14-1181. Adam replaces Adadelta and its norm constraint; 400 tokens,
# since these texts are longer than sentences.
KIM = Config(
    model="kim",
    trainable_embeddings=True,
    missing_vectors="random",
    sequence_length=400,
    optimizer="adam",
    batch_size=64,
    epochs=10,
)

EXPERIMENTS = {
    name + variant: Config(corpus=corpus, **options | BEST_OF_PROTOCOL.get(name + variant, {}))
    for variant, options in VARIANTS.items()
    for name, corpus in PROTOCOLS.items()
} | {"kim": KIM}
"""What `python -m research.train` takes, with the options of each."""


def get(name: str) -> Config:
    """Return the options of the experiment `name`.

    Raises:
      ValueError: there is no such experiment; the message suggests the nearest one.
    """
    return EXPERIMENTS[choose("the experiment", name, EXPERIMENTS)]
