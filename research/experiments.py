"""Experiments by name, each a row of a table: its source and its options.

`python -m research.train NAME` runs one, `python -m research.evaluate RUN --record PATH` scores it.
"""

from typing import Any

from research.config import Config
from research.processes.choices import choose

# The Keras tutorial "Using pre-trained word embeddings", François Chollet, 2020:
# https://keras.io/examples/nlp/pretrained_word_embeddings/
# It has GloVe with 100 dimensions; those with 50 are the ones that a package registry carries.
# Its network is what `Config` has by default. The corpus is the protocol:
CORPORA = {
    # Posts of later dates than those learned from: the official split.
    "newsgroups": "news20-bydate",
    # The tutorial's own protocol: every post, a random 80/20 split, no test split.
    "tutorial": "news20",
    # The same posts, without headers, where no repost or cross-post straddles two splits.
    "clean": "news20-clean",
    # Newswire: Reuters-21578 with 8 and with 52 classes.
    "r8": "r8",
    "r52": "r52",
}

# The best we know of 50-dimensional vectors and two CPU cores. Its options were chosen by
# cross-validation within train, so that nothing is left to choose on validation, and it can be
# learned from as well. Epochs come to about 1,000 steps, of which larger corpora need fewer.
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

# What is done differently in `newsgroups-finetuned`, `r8-finetuned` and so on.
VARIANTS: dict[str, dict[str, Any]] = {
    "": {},  # frozen GloVe vectors
    "-finetuned": {"trainable_embeddings": True},
    "-random": {"trainable_embeddings": True, "vectors": "random.50d"},
    "-bfloat16": {"precision": "mixed_bfloat16"},  # does half the precision cost accuracy?
    "-best": BEST,
}

# Without a test split, validation is what a table reports, and is not learned from.
BEST_OF_CORPUS: dict[str, dict[str, Any]] = {
    "newsgroups-best": {"epochs": 6},
    "tutorial-best": {"epochs": 4, "train_on": "train"},
    "clean-best": {"epochs": 4},
}

# Kim 2014, "Convolutional Neural Networks for Sentence Classification", CNN-non-static.
# Adam instead of Adadelta and its norm constraint; 400 tokens, since these are no sentences.
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
    name + suffix: Config(corpus=corpus, **options | BEST_OF_CORPUS.get(name + suffix, {}))
    for suffix, options in VARIANTS.items()
    for name, corpus in CORPORA.items()
} | {"kim": KIM}


def get(name: str) -> Config:
    """Returns the options of the experiment `name`.

    Raises:
      ValueError: there is none of that name; the error suggests the nearest.
    """
    return EXPERIMENTS[choose("the experiment", name, EXPERIMENTS)]
