"""Every option of an experiment, in one place."""

import dataclasses
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from research import runs


@dataclass(frozen=True)
class Config:
    """What is trained, on what, and how.

    The defaults are the tutorial's network on the default corpus. Names of corpora, vectors and
    models are checked by the modules that hold them.
    """

    corpus: str = "news20-bydate"
    """Corpus: `python -m research.corpora --help` lists them."""
    corpus_path: Path | None = None
    """The corpus' file or folder, for those that are not fetched by name."""
    text_column: str = "text"
    """Column of the text, in a CSV, TSV, JSONL or Parquet corpus."""
    label_column: str = "label"
    """Column of the class, in a CSV, TSV, JSONL or Parquet corpus."""
    split_column: str | None = None
    """Column that says train, validation or test, if the corpus has one."""

    vocabulary_size: int = 20_000
    """Words kept, the most frequent of the train split; padding and [UNK] count as two."""
    sequence_length: int = 200
    """Tokens kept of each text, from its beginning."""

    vectors: str = "glove.6B.50d"
    """Word vectors: glove.6B.50d, random.50d, or the path of a GloVe, word2vec or fastText file."""
    missing_vectors: Literal["zeros", "random"] = "zeros"
    """Rows of words without a vector: zeros, or normal with the mean and variance of the others."""
    trainable_embeddings: bool = False
    """Fine-tune the word vectors instead of freezing them."""

    model: str = "tutorial"
    """Model: tutorial, kim or wide-deep, as in research/models.py."""
    dropout: float = 0.5
    """Share of the units that dropout sets to zero while training, in [0, 1)."""

    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    """What the layers compute in; mixed_bfloat16 keeps weights and logits in float32."""
    optimizer: Literal["rmsprop", "adam"] = "rmsprop"
    """Optimizer, with Keras' defaults but for the learning rate."""
    learning_rate: float = 0.001
    """Learning rate, above 0."""
    learning_rate_schedule: Literal["constant", "linear"] = "constant"
    """Learning rate over the run: the same, or falling linearly to 2% of it by the last step."""
    batch_size: int = 128
    """Examples a step."""
    train_on: Literal["train", "train+validation"] = "train"
    """Splits to learn from; with validation there is nothing to choose an epoch on: the last."""
    epochs: int = 20
    """Passes over the train split."""
    seed: int = 0
    """Where initial weights, the order of examples and dropout come from, in [0, 2**31)."""

    def __post_init__(self) -> None:
        checks = {
            "vocabulary_size": (self.vocabulary_size >= 3, "at least 3: padding, [UNK] and a word"),
            "sequence_length": (self.sequence_length >= 1, "at least 1"),
            "dropout": (0 <= self.dropout < 1, "in [0, 1)"),
            "learning_rate": (0 < self.learning_rate < float("inf"), "above 0 and finite"),
            "batch_size": (self.batch_size >= 1, "at least 1"),
            "epochs": (self.epochs >= 1, "at least 1"),
            "seed": (0 <= self.seed < 2**31, "in [0, 2**31)"),
        }
        for name, (holds, expected) in checks.items():
            if not holds:
                option = "--" + name.replace("_", "-")
                raise ValueError(
                    f"expected {option} to be {expected}, received {getattr(self, name)}; change it"
                )

    def to_json(self) -> dict[str, Any]:
        """Returns the options as JSON values; paths become absolute."""
        return {
            name: str(value.resolve()) if isinstance(value, Path) else value
            for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def read(cls, run: Path) -> "Config":
        """Returns the options of a run, from its `config.json`.

        Raises:
          FileNotFoundError: `run` is no run folder.
          ValueError: an option is missing, unknown, of another type or out of its range.
        """
        source = run / "config.json"
        options = runs.read_json(source)
        hints = typing.get_type_hints(cls)
        if not isinstance(options, dict) or options.keys() != hints.keys():
            received = sorted(options) if isinstance(options, dict) else type(options).__name__
            raise ValueError(
                f"expected {source} to hold exactly the options {sorted(hints)}, "
                f"received {received}; train again with this version"
            )
        read: dict[str, Any] = {}
        for name, value in options.items():
            if not _fits(value, hints[name]):
                raise ValueError(
                    f"expected {name} in {source} to be {hints[name]}, received {value!r}; "
                    "restore the file"
                )
            is_path = name == "corpus_path" and value is not None
            read[name] = Path(value) if is_path else value
        return cls(**read)


def _fits(value: object, hint: Any) -> bool:
    if typing.get_origin(hint) is Literal:
        return value in typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        return any(_fits(value, part) for part in typing.get_args(hint))
    if hint is Path:
        return isinstance(value, str)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is hint
