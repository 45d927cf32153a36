"""The options of the models, without their sizes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelOptions:
    """Options that travel together from a run's configuration to its model.

    Attributes:
      trainable_embeddings: fine-tune the word vectors.
      dropout: share of units that dropout sets to zero while training, in [0, 1).
      precision: Keras' dtype policy of the layers, such as "mixed_bfloat16"; None for the policy of
        the process.
      seed: of initial weights and dropout masks.
      deep_vocabulary_size: words that the convolutions of `wide-deep` see.
      deep_sequence_length: tokens that they see.
      word_dropout: share of the words that they do not see while training, in [0, 1).
    """

    trainable_embeddings: bool = False
    dropout: float = 0.5
    precision: str | None = None
    seed: int = 0
    deep_vocabulary_size: int = 30_000
    deep_sequence_length: int = 200
    word_dropout: float = 0.3
