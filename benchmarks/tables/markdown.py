"""Tables in Markdown, without the padding that would change every line with one cell."""

from collections.abc import Collection, Iterable, Sequence


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], text_columns: Collection[str]
) -> str:
    """Return a table; columns are aligned to the right, except those of text."""
    alignments = ["---" if column in text_columns else "---:" for column in columns]
    lines = [_line(columns), f"|{'|'.join(alignments)}|", *map(_line, rows)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
