"""A trained run as one object: texts in, probabilities out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from research import loop, models, runs, tokens
from research.config import Config


@dataclass(frozen=True)
class Classifier:
    """A model with what it needs to read texts.

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
        """Reads a run folder; see `research.load`.

        Args:
          run: the run folder.
          checkpoint: "best" or "last".
          precision: Keras' dtype policy to compute in; None for that of the run.
        """
        config = Config.read(run)
        data = runs.read_json(run / "data.json")
        vocabulary = tokens.read_vocabulary(run / "vocabulary.txt")
        arrays = runs.load_arrays(run, checkpoint)
        model = models.build(
            config.model,
            np.zeros((len(vocabulary), data["embedding_dim"]), "float32"),
            config.sequence_length,
            len(data["class_names"]),
            trainable_embeddings=config.trainable_embeddings,
            precision=precision or config.precision,
        )
        variables = loop.weights(model)
        # What training goes on from holds more than the weights: optimizer, counters of metrics.
        loop.assign(variables, {name: arrays[name] for name in arrays if name in variables})
        return cls(config, data["class_names"], vocabulary, model)

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """Returns the probability of each class, float32[texts, classes].

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
        return loop.predict_probabilities(self.model, token_ids)
