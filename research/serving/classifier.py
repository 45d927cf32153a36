"""A trained run as one object: texts in, probabilities out."""

import math
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import keras
import numpy as np

from research.config import Config
from research.data import tokens
from research.data.in_memory import strings
from research.data.tokenizer import Tokenizer
from research.models import registry
from research.models.variables import assign, forms, weights
from research.processes.choices import choose
from research.serving import explanation
from research.training import checkpoints, run_folder
from research.training.checkpoints import Checkpoint
from research.training.inference import predict_probabilities
from research.training.run_folder import Description

_MOST_TIMES_LARGER = 16
"""How much larger the matrix of all words' vectors may be than the arrays of a run.

It can be larger, since wide-deep keeps the vectors of 30,000 words only.
"""


@dataclass(frozen=True, repr=False)
class Classifier:
    """A model with what it needs to read texts.

    Example:
      classifier = research.load("runs/newsgroups/jax-seed0")
      probabilities = classifier.predict(["the shuttle reached its orbit"])  # float32[1, 20]
      classifier.classes[probabilities[0].argmax()]
      classifier.explain("the shuttle reached its orbit")  # [("orbit", 4.1), ("the", -0.2), ...]

    Attributes:
      config: the options of the run.
      classes: the class names, in the order of the model's outputs.
      vocabulary: the words; a token id is an index into it.
      model: maps token ids to logits.
    """

    config: Config
    classes: list[str]
    vocabulary: list[str]
    model: keras.Model

    @classmethod
    def load(cls, run: Path, checkpoint: checkpoints.Which) -> "Classifier":
        """Read a run folder; see `research.load`.

        Args:
          run: the run folder.
          checkpoint: "best" or "last".
        """
        with checkpoints.opened(run, checkpoint) as opened:
            return cls.of(opened)

    @classmethod
    def of(cls, checkpoint: Checkpoint, precision: str | None = None) -> "Classifier":
        """Return the classifier of a checkpoint.

        Args:
          checkpoint: an open one.
          precision: Keras' dtype policy to compute in; None for the run's own.

        Raises:
          ValueError: a part of it is damaged, or the parts do not fit together.
        """
        run, inputs = checkpoint.run, checkpoint.inputs
        config = Config.parse(inputs["config.json"], run / "config.json")
        data = run_folder.description(inputs["data.json"], run / "data.json")
        vocabulary = tokens.parse_vocabulary(inputs["vocabulary.txt"], run / "vocabulary.txt")
        _check_size(checkpoint, data, len(vocabulary))
        model = registry.build(
            config.model,
            np.zeros((len(vocabulary), data.embedding_dim), "float32"),
            config.sequence_length,
            len(data.class_names),
            replace(config.model_options, precision=precision or config.precision),
        )
        variables = weights(model)
        assign(variables, checkpoint.arrays(forms(variables)))  # `last` also holds the optimizer
        return cls(config, data.class_names, vocabulary, model)

    def __repr__(self) -> str:
        return (
            f"Classifier(model={self.config.model!r}, words={len(self.vocabulary)}, "
            f"classes={reprlib.repr(self.classes)})"
        )

    def predict(self, texts: Iterable[str]) -> np.ndarray:
        """Return the probability of each class, float32[texts, classes].

        Args:
          texts: a list, a tuple, an array or a Series of strings, or whatever else yields them.

        Raises:
          ValueError: `texts` is a single string or has several dimensions, or an element is no
            string; the message says which.

        Example:
          classifier = research.load("runs/newsgroups/jax-seed0")
          texts = pandas.Series(["the shuttle reached its orbit", "the goalie stopped the puck"])
          classifier.predict(texts)  # float32[2, 20]
        """
        texts = strings(texts)
        if not texts:
            return np.zeros((0, len(self.classes)), "float32")
        return predict_probabilities(self.model, self._tokenizer.encode(texts))

    def explain(self, text: str, label: str | None = None) -> list[tuple[str, float]]:
        """Return the words that speak for and against a label, the weightiest first.

        Each different word comes with its contribution: what the log-odds of the label lose
        without it, in nats. So it is positive for a word that speaks for the label. See
        `research.serving.explanation`.

        Words are as the model sees them, in lower case and without punctuation. Those that it does
        not know count together as "[UNK]", and those beyond its sequence length not at all. Of a
        text with more than 1,000 different words, the first are explained.

        Args:
          text: one text.
          label: a class; None for the most probable one.

        Raises:
          ValueError: `text` is no string, or `label` is no class.

        Example:
          classifier = research.load("runs/newsgroups/jax-seed0")
          for word, contribution in classifier.explain("the shuttle reached its orbit")[:3]:
              print(f"{contribution:+.2f} {word}")
        """
        predict = partial(predict_probabilities, self.model)
        token_ids = self._tokenizer.encode(strings([text]))
        if label is None:
            number = int(predict(token_ids)[0].argmax())
        else:
            number = self.classes.index(choose("the label", label, self.classes))
        words, values = explanation.contributions(token_ids[0], predict, number)
        return [
            (self.vocabulary[word], float(value)) for word, value in zip(words, values, strict=True)
        ]

    @cached_property  # so that labelling texts one by one builds it once
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer(self.vocabulary, self.config.sequence_length, self.config.split)


def _check_size(checkpoint: Checkpoint, data: Description, words: int) -> None:
    """Check that a model of these sizes fits the arrays, before memory is taken for it.

    Raises:
      ValueError: it would be much larger.
    """
    numbers = sum(math.prod(form.shape) for form in checkpoint.forms().values())
    wanted = words * data.embedding_dim + len(data.class_names)
    if wanted > _MOST_TIMES_LARGER * numbers or words != data.vocabulary_size:
        raise ValueError(
            f"expected in {checkpoint.run} {data.vocabulary_size:,} words with vectors of "
            f"{data.embedding_dim:,} numbers and {len(data.class_names):,} classes, received "
            f"{words:,} words and arrays of {numbers:,} numbers; restore the run folder from a "
            "copy, or train again"
        )
