"""Names that a person types, checked against the names that exist."""

import difflib
from collections.abc import Iterable


def choose(what: str, name: str, names: Iterable[str]) -> str:
    """Return `name` if it is one of `names`.

    Raises:
      ValueError: it is not. The message suggests the closest name.
    """
    names = list(names)
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        advice = f"did you mean {close[0]!r}?" if close else "choose one of these"
        raise ValueError(
            f"expected {what} to be one of {', '.join(names)}, received {name!r}; {advice}"
        )
    return name
