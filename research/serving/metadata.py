"""What travels inside each artefact, besides the network."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from research.training.checkpoints import Checkpoint

if TYPE_CHECKING:
    from research.serving.classifier import Classifier

PUNCTUATION = r"""[!"#$%&()\*\+,-\./:;<=>?@\[\\\]^_`{|}~\']"""
"""The characters that the tokenizer removes, as RE2 and Keras's TextVectorization write them."""


def collect(checkpoint: Checkpoint, classifier: "Classifier") -> dict[str, Any]:
    """Return classes, vocabulary, settings of the tokenizer, licences and origin, as JSON values.

    Args:
      checkpoint: what is exported.
      classifier: the same as one object.

    Raises:
      ValueError: a file of the run is damaged.
    """
    config = classifier.config
    data = checkpoint.json("data.json")
    last_process = checkpoint.json("environment.json")[-1]
    vectors_name = Path(config.vectors).name  # without the folders of the machine that trained
    return {
        "classes": classifier.classes,
        "vocabulary": classifier.vocabulary,
        "tokenizer": {
            "lower": "ASCII letters",
            "remove": PUNCTUATION,
            "split": "ASCII whitespace" if config.split == "whitespace" else config.split,
            "sequence_length": config.sequence_length,
            "padding": 0,
            "out_of_vocabulary": 1,
        },
        "licences": {"code": "Apache-2.0", "vectors": _vectors_licence(config.vectors)},
        "origin": {
            "options": config.to_json() | {"corpus_path": None, "vectors": vectors_name},
            **{name: data[name] for name in ("corpus", "corpus_digest", "examples", "parameters")},
            "checkpoint": checkpoint.which,
            "epoch": checkpoint.epoch,
            **{name: last_process[name] for name in ("started", "commit", "backend", "versions")},
        },
    }


def _vectors_licence(vectors: str) -> str:
    if vectors.startswith("glove.6B."):
        return "Public Domain Dedication and License 1.0"
    if vectors.startswith("random."):
        return "none, they began as random numbers"
    return f"those of {Path(vectors).name}"
