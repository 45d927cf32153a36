"""Text classification with pretrained word embeddings: one Keras 3 model on every backend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from research.classifier import Classifier

__all__ = ["load"]


def load(run: Path | str, checkpoint: Literal["best", "last"] = "best") -> Classifier:
    """Returns a trained run as one object that labels texts, on any backend.

    Args:
      run: the folder that `python -m research.train` printed.
      checkpoint: the weights of the epoch with the best validation accuracy, or of the last one.

    Raises:
      FileNotFoundError: `run` is no run folder, or has no finished epoch.
      ValueError: a file in it is damaged.
    """
    from research import backends

    backends.select()  # before Keras is imported
    from research.classifier import Classifier

    return Classifier.load(Path(run), checkpoint)
