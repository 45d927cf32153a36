"""Experiments by name, each a row of a table: its source and its options."""

from research.config import Config
from research.names import choose

# The Keras tutorial "Using pre-trained word embeddings", François Chollet, 2020:
# https://keras.io/examples/nlp/pretrained_word_embeddings/
# It has GloVe with 100 dimensions; those with 50 are the ones that a package registry carries.
TUTORIAL = Config(corpus="news20")

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
    # The tutorial's network on posts of later dates than those it learned from.
    "newsgroups": Config(),
    # The tutorial's own protocol: every post, a random 80/20 split, no test split.
    "tutorial": TUTORIAL,
    # The same network on newswire: Reuters-21578 with 8 and with 52 classes.
    "r8": Config(corpus="r8"),
    "r52": Config(corpus="r52"),
    "kim": KIM,
}


def get(name: str) -> Config:
    """Returns the options of the experiment `name`.

    Raises:
      ValueError: there is none of that name; the error suggests the nearest.
    """
    return EXPERIMENTS[choose("the experiment", name, EXPERIMENTS)]
