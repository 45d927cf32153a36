"""Rows of a table, and the columns that they must have."""

import difflib
import reprlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

_OPTIONS = ("--text-column", "--label-column", "--split-column")
_NAMES_SHOWN = 10


class Rows(NamedTuple):
    """Rows as they are in a file or a dataset, not yet checked.

    Attributes:
      columns: the values of each of the wanted columns.
      splits: "train", "validation" or "test" for each row; all "train" without splits.
      place: returns where a row is, for error messages.
      notes: what a person should know about how they were read, a line each.
    """

    columns: list[list[Any]]
    splits: list[str]
    place: Callable[[int], str]
    notes: list[str]


def check_columns(
    place: str, wanted: Sequence[str], present: Sequence[str], otherwise: str = ""
) -> None:
    """Check that each of the wanted columns is there exactly once.

    Args:
      place: where the columns are, for error messages.
      wanted: the columns of the text, of the class and perhaps of the split, in this order.
      present: the columns that are there.
      otherwise: what else the user can do, as the end of an error message.

    Raises:
      ValueError: a column is missing, or there twice.
    """
    for column, option in zip(wanted, _OPTIONS, strict=False):
        if present.count(column) != 1:
            raise ValueError(
                f"expected one column {column!r} in {place}, received {_shortened(present)}; "
                f"{_suggestion(column, present)}name the column with {option}{otherwise}"
            )


def _suggestion(column: str, present: Sequence[str]) -> str:
    by_lower_case = {name.lower(): name for name in present if name != column}
    close = difflib.get_close_matches(column.lower(), by_lower_case, n=1)
    return f"did you mean {by_lower_case[close[0]]!r}? " if close else ""


def _shortened(names: Sequence[str]) -> str:
    listed = ", ".join(map(reprlib.repr, names[:_NAMES_SHOWN])) or "no columns"
    more = len(names) - _NAMES_SHOWN
    return f"{listed} and {more:,} more" if more > 0 else listed
