"""Which epoch is the best one."""

from collections.abc import Sequence
from typing import Any, Literal

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
