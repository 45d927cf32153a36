"""Text classification with pretrained word embeddings: one Keras 3 model on every backend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from research.estimator import TextClassifier
    from research.serving.classifier import Classifier

__all__ = ["TextClassifier", "load"]


def load(run: Path | str, checkpoint: Literal["best", "last"] = "best") -> Classifier:
    """Return a trained run as one object that labels texts, on any backend.

    Args:
      run: the folder that `python -m research.train` printed.
      checkpoint: the weights of the epoch with the best validation accuracy, or of the last one.

    Raises:
      FileNotFoundError: `run` is no run folder, or has no finished epoch.
      ValueError: a file in it is damaged.

    Example:
      classifier = research.load("runs/newsgroups/jax-seed0")
      classifier.predict(["the shuttle reached its orbit"])  # float32[1, 20]
    """
    from research.processes import backends

    backends.select()  # before Keras is imported
    from research.serving.classifier import Classifier

    return Classifier.load(Path(run), checkpoint)


def __getattr__(name: str) -> Any:
    """Import `TextClassifier`, and scikit-learn with it, when it is asked for."""
    if name == "TextClassifier":
        from research.estimator import TextClassifier

        return TextClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
