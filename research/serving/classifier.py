"""A trained run as one object: texts in, probabilities out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from research.config import Config
from research.data import tokens
from research.models import registry
from research.models.variables import assign, weights
from research.training import checkpoints, run_folder
from research.training.inference import predict_probabilities


@dataclass(frozen=True)
class Classifier:
    """A model with what it needs to read texts.

    Example:
      classifier = research.load("runs/newsgroups/jax-seed0")
      probabilities = classifier.predict(["the shuttle reached its orbit"])  # float32[1, 20]
      classifier.classes[probabilities[0].argmax()]

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
    def load(cls, run: Path, checkpoint: str, precision: str | None = None) -> "Classifier":
        """Read a run folder; see `research.load`.

        Args:
          run: the run folder.
          checkpoint: "best" or "last".
          precision: Keras' dtype policy to compute in; None for the run's own.
        """
        config = Config.read(run)
        data = run_folder.read_json(run / "data.json")
        vocabulary = tokens.read_vocabulary(run / "vocabulary.txt")
        arrays = checkpoints.load_arrays(run, checkpoint)
        model = registry.build(
            config.model,
            np.zeros((len(vocabulary), data["embedding_dim"]), "float32"),
            config.sequence_length,
            len(data["class_names"]),
            replace(config.model_options, precision=precision or config.precision),
        )
        variables = weights(model)
        # `last` also holds the optimizer and the metrics.
        assign(variables, {name: arrays[name] for name in arrays if name in variables})
        return cls(config, data["class_names"], vocabulary, model)

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """Return the probability of each class, float32[texts, classes].

        Raises:
          ValueError: `texts` is a single string or holds something other than strings.
          ModuleNotFoundError: TensorFlow, which reads the texts, is not installed.
        """
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            raise ValueError(
                f"expected a list of strings, received {texts!r:.80}; put a single text into a list"
            )
        if len(texts) == 0:
            return np.zeros((0, len(self.classes)), "float32")
        token_ids = tokens.encode(texts, self.vocabulary, self.config.sequence_length)
        return predict_probabilities(self.model, token_ids)
