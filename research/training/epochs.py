"""Which epoch is the best one, and when there need be no more."""

from collections.abc import Sequence
from typing import Any, Literal

from research.training.checkpoints import Position

Monitor = Literal["accuracy", "macro-f1", "loss"]
"""A score on validation."""


def best(history: Sequence[dict[str, Any]], monitor: Monitor) -> dict[str, Any]:
    """Return the epoch with the best score on validation, the first of equals.

    Args:
      history: a record for each epoch, with the scores as `validation_accuracy` and so on.
      monitor: the score.
    """
    name, sign = f"validation_{monitor.replace('-', '_')}", 1 if monitor == "loss" else -1
    return min(history, key=lambda record: sign * record[name])


def are_complete(position: Position, epochs: int, patience: int | None) -> bool:
    """Return whether a run has all its epochs, or has had no better one for a while.

    Args:
      position: where the run stands.
      epochs: those that it may have.
      patience: epochs without a better one after which it ends; None for never.
    """
    without_better = position.epoch - (position.best_epoch or position.epoch)
    has_stalled = patience is not None and without_better >= patience
    return position.epoch >= epochs or has_stalled
