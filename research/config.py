"""Every option of an experiment, in one place."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from research.data import hub, tokens, word_vectors
from research.data.corpora import CorpusSource
from research.models.options import ModelOptions
from research.training import run_folder


@dataclass(frozen=True)
class Config:
    """What is trained, on what, and how.

    The defaults are the tutorial's network on the default corpus. The names of corpora, vectors
    and models are checked by the rooms that know them.
    """

    corpus: str = "news20-bydate"
    """Corpus: `python -m research.corpora --help` lists them."""
    corpus_path: Path | None = None
    """The corpus' file or folder, if it is not fetched by name; or a dataset of the Hub."""
    text_column: str = "text"
    """Column of the text, in a corpus that has columns."""
    label_column: str = "label"
    """Column of the class, in a corpus that has columns."""
    split_column: str | None = None
    """Column that says train, validation or test, if the corpus has one."""
    delimiter: str | None = None
    """What separates the columns of a CSV file: a character, or comma, semicolon, tab or bar. It is
    found out unless it is given."""

    train_examples: int | None = None
    """Texts to learn from, a seeded share of each class; all, unless it is given."""
    vocabulary_size: int = 20_000
    """Words kept, the most frequent of the train split; padding and [UNK] count as two."""
    sequence_length: int = 200
    """Tokens kept of each text, from its beginning, at most."""
    split: tokens.SplitAt = "whitespace"
    """Where texts are split into tokens. For languages without spaces between words: character."""

    vectors: str = "glove.6B.50d"
    """Word vectors: glove.6B.50d, glove.6B.100d, glove.6B.100d-partial (341,479 of its 400,000
    words, from npm's registry), glove.6B.200d, glove.6B.300d, random.50d, or the path of a GloVe,
    word2vec or fastText file."""
    missing_vectors: Literal["zeros", "random"] = "zeros"
    """Rows of words without a vector: zeros, or normal with the mean and variance of the others."""
    trainable_embeddings: bool = False
    """Fine-tune the word vectors instead of freezing them."""

    model: str = "tutorial"
    """Model: tutorial, kim or wide-deep, as in research/models/registry.py."""
    dropout: float = 0.5
    """Share of the units that dropout sets to zero while training, in [0, 1)."""
    deep_vocabulary_size: int = 30_000
    """Words that the convolutions of wide-deep see, the most frequent ones."""
    deep_sequence_length: int = 200
    """Tokens that the convolutions of wide-deep see of each text."""
    word_dropout: float = 0.3
    """Share of the words that wide-deep does not see while training, in [0, 1)."""

    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    """What the layers compute in; mixed_bfloat16 keeps weights and logits in float32. It is quicker
    on processors with bfloat16 products only, and a run says where it is slower."""
    optimizer: Literal["rmsprop", "adam"] = "rmsprop"
    """Optimizer. Uses Keras's defaults except for the learning rate."""
    learning_rate: float = 0.001
    """Learning rate, above 0."""
    learning_rate_schedule: Literal["constant", "linear"] = "constant"
    """Constant learning rate, or one that falls linearly to 2% of it by the last step."""
    batch_size: int = 128
    """Examples a step."""
    train_on: Literal["train", "nine-tenths-of-train"] = "train"
    """What is learned from. With train, the best epoch is chosen on the validation split. Where it
    is the validation split that is scored, nine-tenths-of-train chooses on the other tenth."""
    epochs: int = 20
    """Passes over the train split, at most."""
    class_weight: Literal["none", "balanced"] = "none"
    """With balanced, an example counts the more the rarer its class: all classes together count the
    same. Rare classes are found more often, and frequent ones less often."""
    monitor: Literal["accuracy", "macro-f1", "loss"] = "accuracy"
    """What makes an epoch the best one on validation: the highest accuracy, the highest macro-F1 or
    the least loss."""
    patience: int | None = None
    """Stop after this many epochs without a better one; never, unless it is given."""
    seed: int = 0
    """Random seed for weights, example order and dropout, in [0, 2**31)."""

    def __post_init__(self) -> None:
        few = self.train_examples is not None and self.train_examples < 2
        checks = {
            "train_examples": (not few, "at least 2"),
            "vocabulary_size": (self.vocabulary_size >= 3, "at least 3: padding, [UNK] and a word"),
            "sequence_length": (self.sequence_length >= 1, "at least 1"),
            "dropout": (0 <= self.dropout < 1, "in [0, 1)"),
            "deep_vocabulary_size": (self.deep_vocabulary_size >= 3, "at least 3"),
            "deep_sequence_length": (self.deep_sequence_length >= 1, "at least 1"),
            "word_dropout": (0 <= self.word_dropout < 1, "in [0, 1)"),
            "learning_rate": (0 < self.learning_rate < float("inf"), "above 0 and finite"),
            "batch_size": (self.batch_size >= 1, "at least 1"),
            "epochs": (self.epochs >= 1, "at least 1"),
            "patience": (self.patience is None or self.patience >= 1, "at least 1"),
            "seed": (0 <= self.seed < 2**31, "in [0, 2**31)"),
        }
        for name, (holds, expected) in checks.items():
            if not holds:
                option = "--" + name.replace("_", "-")
                raise ValueError(
                    f"expected {option} to be {expected}, received {getattr(self, name)}; change it"
                )

    @property
    def corpus_source(self) -> CorpusSource:
        """Which corpus, where it is, and what its columns are called."""
        return CorpusSource(
            self.corpus,
            self.corpus_path,
            self.text_column,
            self.label_column,
            self.split_column,
            self.delimiter,
        )

    @property
    def model_options(self) -> ModelOptions:
        """The options of the model, without its sizes."""
        names = [field.name for field in dataclasses.fields(ModelOptions)]
        return ModelOptions(**{name: getattr(self, name) for name in names})

    def to_json(self) -> dict[str, Any]:
        """Return the options as JSON values; paths become absolute."""
        options = dataclasses.asdict(self)
        if self.corpus_path is not None:
            is_name = self.corpus == "hub" and not hub.is_folder(self.corpus_path)
            options["corpus_path"] = str(
                self.corpus_path if is_name else self.corpus_path.resolve()
            )
        if word_vectors.is_path(self.vectors):
            options["vectors"] = str(Path(self.vectors).resolve())
        return options

    @classmethod
    def read(cls, run: Path) -> "Config":
        """Return the options of a run, from its `config.json`.

        Raises:
          FileNotFoundError: `run` is no run folder.
          ValueError: an option is unknown, of another type or out of its range.
        """
        path = run / "config.json"
        return cls.parse(run_folder.read_bytes(path), path)

    @classmethod
    def parse(cls, content: bytes, path: Path) -> "Config":
        """Return the options in the content of a `config.json`.

        An option that is younger than the run has its default.

        Args:
          content: its bytes.
          path: where it is, for the message of an error.

        Raises:
          ValueError: an option is unknown, of another type or out of its range.
        """
        try:  # strict: neither the text "20" nor true is a number
            return TypeAdapter(cls).validate_json(content, strict=True, extra="forbid")
        except ValidationError as error:
            raise run_folder.not_as_expected("the options of a run", path, error) from None
