"""The options of the models."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelOptions:
    """Options of a model, apart from its sizes. A model ignores those that it has no use for.

    Attributes:
      trainable_embeddings: fine-tune the word vectors.
      dropout: share of units that dropout sets to zero while training, in [0, 1).
      precision: Keras's dtype policy of the layers, such as "mixed_bfloat16"; None for that of the
        process.
      seed: of initial weights and dropout masks.
      deep_vocabulary_size: words that the convolutions of `wide-deep` see, the most frequent ones.
      deep_sequence_length: tokens that the convolutions of `wide-deep` see of each text.
      word_dropout: share of tokens that `wide-deep` hides from its convolutions while training, in
        [0, 1).
    """

    trainable_embeddings: bool = False
    dropout: float = 0.5
    precision: str | None = None
    seed: int = 0
    deep_vocabulary_size: int = 30_000
    deep_sequence_length: int = 200
    word_dropout: float = 0.3
